import type { Rejection } from './plugin.ts';

export interface FitFailure {
  readonly nodeCount: number;
  readonly preFilter?: Rejection;
  readonly rejections: Iterable<Rejection>;
  /** What to say of each node that has no rejection of its own. */
  readonly others?: string;
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`, as all who read events know it. */
export function fitMessage({ nodeCount, preFilter, rejections, others }: FitFailure): string {
  const head = `0/${nodeCount} nodes are available:`;
  if (preFilter !== undefined) {
    return `${head} ${preFilter.reasons.join(', ')}.`;
  }
  const counts = new Map<string, number>();
  let explained = 0;
  for (const { reasons } of rejections) {
    explained++;
    for (const reason of reasons) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
  }
  if (others !== undefined && explained < nodeCount) {
    counts.set(others, (counts.get(others) ?? 0) + nodeCount - explained);
  }
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return parts.length === 0 ? head : `${head} ${parts.join(', ')}.`;
}

export const noNodesMessage = 'no nodes available to schedule pods';
