import { parseTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

const firstBackoffMs = 10_000;
const maxBackoffMs = 10 * 60_000;

/** When a finished pod finished: its last container's end, or what comes closest to it. */
export function finishedAt(pod: Pod): number | undefined {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  const ends = statuses
    .map((status) => parseTime(status.state?.terminated?.finishedAt))
    .filter((time): time is number => time !== undefined);
  if (ends.length > 0) return Math.max(...ends);
  const ready = pod.status?.conditions?.find((condition) => condition.type === 'Ready');
  return (
    parseTime(ready?.lastTransitionTime) ??
    parseTime(pod.metadata.deletionTimestamp) ??
    parseTime(pod.metadata.creationTimestamp)
  );
}

/**
 * How long to wait before the next pod, in milliseconds: 10 s after the first failure since the last success, twice as long
 * after each further one. Read from the pods alone, so that a restart of the controller does not shorten it.
 */
export function remainingBackoffMs(failed: readonly Pod[], succeeded: readonly Pod[], now: Date): number {
  const lastSuccess = Math.max(0, ...succeeded.map((pod) => finishedAt(pod) ?? 0));
  const failures = failed.map((pod) => finishedAt(pod) ?? 0).filter((time) => time > lastSuccess);
  return remainingAfter(failures.length, Math.max(0, ...failures), now);
}

/** The same for one index with `count` failures, the last at `lastFailure`. */
export function remainingAfter(count: number, lastFailure: number, now: Date): number {
  if (count === 0) return 0;
  const backoff = Math.min(firstBackoffMs * 2 ** (count - 1), maxBackoffMs);
  return Math.max(0, lastFailure + backoff - now.getTime());
}
