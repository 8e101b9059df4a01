import { parseTime } from '../../apimachinery/time.ts';
import type { Pod, Taint } from '../../apimachinery/types/core-v1.ts';
import { tolerates } from '../../scheduler/taints.ts';

/**
 * When a pod has to leave a node with these NoExecute taints, in milliseconds since the epoch; undefined: it may stay. Time is
 * counted from the moment a taint was set (or the pod came, if later), so that a new leader does not start it anew.
 */
export function evictionTime(pod: Pod, taints: readonly Taint[], now: Date): number | undefined {
  const createdAt = parseTime(pod.metadata.creationTimestamp) ?? 0;
  let evictAt: number | undefined;
  for (const taint of taints) {
    if (taint.effect !== 'NoExecute') continue;
    const since = Math.max(parseTime(taint.timeAdded) ?? now.getTime(), createdAt);
    const covering = (pod.spec?.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
    if (covering.length === 0) return 0;
    // Of several limits the shortest counts; a toleration without one puts up with the taint for ever.
    const limits = covering
      .map(({ tolerationSeconds }) => tolerationSeconds)
      .filter((seconds): seconds is number => seconds !== undefined);
    if (limits.length === 0) continue;
    const leaveAt = since + Math.max(0, Math.min(...limits)) * 1000;
    evictAt = evictAt === undefined ? leaveAt : Math.min(evictAt, leaveAt);
  }
  return evictAt;
}
