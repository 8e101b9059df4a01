import { formatTime } from '../../apimachinery/time.ts';
import type { Node, Taint } from '../../apimachinery/types/core-v1.ts';
import type { Readiness } from './node-health.ts';

export const notReadyTaint = 'node.kubernetes.io/not-ready';
export const unreachableTaint = 'node.kubernetes.io/unreachable';
const unschedulableTaint = 'node.kubernetes.io/unschedulable';

/** Which taint keeps new pods away under which status of a condition. */
const conditionTaints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: notReadyTaint, Unknown: unreachableTaint },
  MemoryPressure: { True: 'node.kubernetes.io/memory-pressure' },
  DiskPressure: { True: 'node.kubernetes.io/disk-pressure' },
  NetworkUnavailable: { True: 'node.kubernetes.io/network-unavailable' },
  PIDPressure: { True: 'node.kubernetes.io/pid-pressure' },
};

const managedNoSchedule: ReadonlySet<string> = new Set([
  unschedulableTaint,
  ...Object.values(conditionTaints).flatMap((byStatus) => Object.values(byStatus)),
]);

/** The node's taints with the NoSchedule ones as its conditions want them; undefined when they are so already. */
export function noScheduleTaints(node: Node, now: Date): Taint[] | undefined {
  const wanted = new Set<string>();
  for (const { type, status } of node.status?.conditions ?? []) {
    const key = conditionTaints[type]?.[status];
    if (key !== undefined) wanted.add(key);
  }
  if (node.spec?.unschedulable === true) wanted.add(unschedulableTaint);
  return reconciled(node, 'NoSchedule', managedNoSchedule, wanted, now);
}

/** The node's taints with the NoExecute one for its readiness, or none; undefined when they are so already. */
export function noExecuteTaints(node: Node, readiness: Readiness, now: Date): Taint[] | undefined {
  const wanted = readiness === 'True' ? [] : readiness === 'False' ? [notReadyTaint] : [unreachableTaint];
  return reconciled(node, 'NoExecute', new Set([notReadyTaint, unreachableTaint]), new Set(wanted), now);
}

function reconciled(
  node: Node,
  effect: string,
  managed: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
  now: Date,
): Taint[] | undefined {
  const taints = node.spec?.taints ?? [];
  const isManaged = (taint: Taint): boolean => taint.effect === effect && managed.has(taint.key);
  const present = new Set(taints.filter(isManaged).map((taint) => taint.key));
  if (present.size === wanted.size && [...wanted].every((key) => present.has(key))) return undefined;
  const kept = taints.filter((taint) => !isManaged(taint) || wanted.has(taint.key));
  const added = [...wanted].filter((key) => !present.has(key));
  return [...kept, ...added.map((key) => ({ key, effect, timeAdded: formatTime(now) }))];
}
