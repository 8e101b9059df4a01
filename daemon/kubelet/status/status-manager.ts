import { isApiError } from '../../apimachinery/api-error.ts';
import type { Pod, PodStatus } from '../../apimachinery/types/core-v1.ts';
import { pods } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import { BackOff } from '../back-off.ts';
import { uidOf } from '../container/labels.ts';

interface Entry {
  pod: Pod;
  status: PodStatus;
  /** The status the API is known to hold, as text; undefined before the first write. */
  written: string | undefined;
  writing: Promise<void> | undefined;
  retry: NodeJS.Timeout | undefined;
}

/** The fields of a pod's status that are the kubelet's; the scheduler and the claims controller write others. */
const ownFields = [
  'observedGeneration',
  'phase',
  'reason',
  'message',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'startTime',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
  'qosClass',
] as const satisfies readonly (keyof PodStatus)[];

/** A strategic merge patch that makes the API's status ours, and leaves alone what others write (other conditions). */
export function statusPatch(uid: string, before: PodStatus | undefined, status: PodStatus): object {
  const gone = ownFields.filter((key) => before?.[key] !== undefined && status[key] === undefined);
  const replaced = (list: readonly object[]): object[] => [{ $patch: 'replace' }, ...list];
  return {
    metadata: { uid },
    status: {
      ...Object.fromEntries(gone.map((key) => [key, null])),
      ...status,
      conditions: withRemovals(before?.conditions, status.conditions),
      // Lists that merge by key would otherwise keep addresses the pod no longer has.
      ...(status.podIPs === undefined ? {} : { podIPs: replaced(status.podIPs) }),
      ...(status.hostIPs === undefined ? {} : { hostIPs: replaced(status.hostIPs) }),
    },
  };
}

/** Conditions merge field by field: one that no longer has a reason must say so. */
export function withRemovals<C extends { type: string; reason?: string; message?: string }>(
  before: readonly C[] | undefined,
  conditions: readonly C[] | undefined,
): object[] {
  return (conditions ?? []).map((condition) => {
    const old = before?.find(({ type }) => type === condition.type);
    return {
      ...(old?.reason === undefined ? {} : { reason: null }),
      ...(old?.message === undefined ? {} : { message: null }),
      ...condition,
    };
  });
}

/** Writes pods' statuses to the API: the latest only, one request per pod at a time, and none when nothing changed. */
export class StatusManager {
  readonly #client: ApiClient;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #backOff = new BackOff(500, 30_000);
  #stopped = false;

  constructor(client: ApiClient, logger: Logger) {
    this.#client = client;
    this.#logger = logger;
  }

  /** The newest status of a pod, written or not. */
  current(uid: string): PodStatus | undefined {
    return this.#entries.get(uid)?.status;
  }

  set(pod: Pod, status: PodStatus): void {
    const uid = uidOf(pod);
    const entry = this.#entries.get(uid);
    if (entry === undefined) {
      this.#entries.set(uid, { pod, status, written: undefined, writing: undefined, retry: undefined });
    } else {
      entry.pod = pod;
      entry.status = status;
    }
    this.#write(uid);
  }

  /** Resolves once what was set last has been written, or the pod is gone from the API. */
  async flush(uid: string): Promise<void> {
    for (;;) {
      const entry = this.#entries.get(uid);
      if (entry === undefined || this.#stopped) return;
      if (entry.writing === undefined && entry.written === JSON.stringify(entry.status)) return;
      await (entry.writing ?? new Promise((resolve) => setTimeout(resolve, 50)));
    }
  }

  forget(uid: string): void {
    clearTimeout(this.#entries.get(uid)?.retry);
    this.#entries.delete(uid);
    this.#backOff.forget(uid);
  }

  stop(): void {
    this.#stopped = true;
    for (const { retry } of this.#entries.values()) clearTimeout(retry);
  }

  #write(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined || entry.writing !== undefined || this.#stopped) return;
    const { pod, status } = entry;
    const text = JSON.stringify(status);
    if (entry.written === text) return;
    // After a restart, what the API already holds need not be written again.
    if (entry.written === undefined && holds(pod.status, status)) {
      entry.written = text;
      return;
    }
    clearTimeout(entry.retry);
    const before = entry.written === undefined ? pod.status : (JSON.parse(entry.written) as PodStatus);
    const { namespace = '', name = '' } = pod.metadata ?? {};
    entry.writing = this.#client
      .patch(pods, { namespace, name }, statusPatch(uid, before, status), { type: 'strategic', subresource: 'status' })
      .then(
        () => {
          entry.written = text;
          this.#backOff.forget(uid);
        },
        (error: unknown) => {
          // Gone, or replaced by another pod of that name: nobody is left to tell.
          if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict')) {
            entry.written = text;
            return;
          }
          this.#logger.warn({ err: error, namespace, name }, 'cannot write the status of a pod');
          this.#backOff.next(uid);
          entry.retry = setTimeout(() => this.#write(uid), this.#backOff.remainingSinceFailure(uid));
          entry.retry.unref();
        },
      )
      .then(() => {
        entry.writing = undefined;
        if (entry.retry === undefined || entry.written === text) this.#write(uid);
      });
  }
}

/** Whether the API's status says all that `status` says. */
function holds(stored: PodStatus | undefined, status: PodStatus): boolean {
  if (stored === undefined) return false;
  const { conditions: storedConditions = [] } = stored;
  const { conditions = [] } = status;
  const same = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);
  if (!ownFields.every((key) => same(status[key], stored[key]))) return false;
  return conditions.every((condition) => storedConditions.some((one) => same(one, condition)));
}

/** Text that is the same for objects that differ only in key order, empty objects and nulls. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
  const entries = Object.entries(value)
    .filter(([, one]) => one !== null && one !== undefined && canonical(one) !== '{}')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`);
  return `{${entries.join()}}`;
}
