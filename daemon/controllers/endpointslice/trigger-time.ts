import { findCondition } from '../../apimachinery/conditions.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Pod, Service } from '../../apimachinery/types/core-v1.ts';

export const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

interface Seen {
  readonly service: number | undefined;
  readonly pods: ReadonlyMap<string, number>;
}

/**
 * Finds when the change that a reconcile answers to happened: the earliest time, among the Service and its pods, that is
 * newer than what the last reconcile saw. Consumers measure the programming latency of the network with it.
 */
export class TriggerTimes {
  readonly #seen = new Map<string, Seen>();

  /** Milliseconds since the epoch; undefined when nothing that carries a time has changed. */
  observe(key: string, service: Service, pods: readonly Pod[]): number | undefined {
    const before = this.#seen.get(key);
    const serviceTime = parseTime(service.metadata.creationTimestamp);
    const times = new Map<string, number>();
    let trigger: number | undefined;
    const consider = (time: number): void => {
      trigger = trigger === undefined ? time : Math.min(trigger, time);
    };
    for (const pod of pods) {
      const name = pod.metadata.name ?? '';
      const time = parseTime(findCondition(pod.status?.conditions, 'Ready')?.lastTransitionTime);
      if (time === undefined) continue;
      times.set(name, time);
      const last = before?.pods.get(name);
      if (last === undefined || time > last) consider(time);
    }
    if (serviceTime !== undefined && (before?.service === undefined || serviceTime > before.service)) {
      consider(serviceTime);
    }
    this.#seen.set(key, { service: serviceTime, pods: times });
    return trigger;
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}

/** RFC 3339 without trailing zeros in the fraction, as Go prints nanosecond times. */
export function formatTriggerTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z');
}
