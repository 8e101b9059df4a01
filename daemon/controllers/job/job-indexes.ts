import type { Job } from '../../apimachinery/types/batch-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

export const completionIndexAnnotation = 'batch.kubernetes.io/job-completion-index';
export const indexFailureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count';
export const indexIgnoredFailureCountAnnotation = 'batch.kubernetes.io/job-index-ignored-failure-count';

export function isIndexed(job: Job): boolean {
  return job.spec.completionMode === 'Indexed';
}

/** The index a pod works on, when it is one of this Job's. */
export function completionIndexOf(job: Job, pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[completionIndexAnnotation] ?? '';
  const index = /^\d+$/.test(text) ? Number(text) : -1;
  return index >= 0 && index < (job.spec.completions ?? 0) ? index : undefined;
}

/** Indexes out of a text such as `1,3-5,7`; those from `completions` on are dropped, what is malformed too. */
export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) continue;
    const last = Math.min(Number(match[2] ?? match[1]), completions - 1);
    for (let index = Number(match[1]); index <= last; index++) indexes.add(index);
  }
  return indexes;
}

/** The shortest such text. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const first = sorted[i];
    while (i + 1 < sorted.length && sorted[i + 1] === (sorted[i] ?? 0) + 1) i++;
    const last = sorted[i];
    parts.push(first === last ? `${first}` : last === (first ?? 0) + 1 ? `${first},${last}` : `${first}-${last}`);
  }
  return parts.join(',');
}

/** The lowest `count` indexes that are neither done nor being worked on. */
export function firstPendingIndexes(
  completions: number,
  count: number,
  taken: readonly ReadonlySet<number>[],
): number[] {
  const pending: number[] = [];
  for (let index = 0; index < completions && pending.length < count; index++) {
    if (!taken.some((set) => set.has(index))) pending.push(index);
  }
  return pending;
}

/** How often the index of this pod has failed before it: counted failures, and those the failure policy ignores. */
export function indexFailures(pod: Pod): { counted: number; ignored: number } {
  const read = (name: string): number => {
    const text = pod.metadata.annotations?.[name] ?? '';
    return /^\d+$/.test(text) ? Number(text) : 0;
  };
  return { counted: read(indexFailureCountAnnotation), ignored: read(indexIgnoredFailureCountAnnotation) };
}
