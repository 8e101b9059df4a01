import { isApiError } from '../apimachinery/api-error.ts';
import { findCondition } from '../apimachinery/conditions.ts';
import { formatTime } from '../apimachinery/time.ts';
import type { Pod, PodCondition } from '../apimachinery/types/core-v1.ts';
import { pods } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { Clock } from '../client/clock.ts';
import type { Logger } from '../log/logger.ts';

export interface PodStatusChange {
  readonly condition?: Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;
  /** Empty: not nominated any more. */
  readonly nominatedNodeName?: string;
}

/** Writes what the scheduler has to say in a pod's status, leaving alone what is already said. */
export class PodStatusWriter {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(client: ApiClient, clock: Clock, logger: Logger) {
    this.#client = client;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Never throws: the next attempt says it again. */
  async write(pod: Pod, change: PodStatusChange): Promise<void> {
    const status = { ...this.#conditions(pod, change.condition), ...nomination(pod, change.nominatedNodeName) };
    if (Object.keys(status).length === 0) {
      return;
    }
    const { namespace = '', name = '' } = pod.metadata;
    try {
      await this.#client.patch(pods, { namespace, name }, { status }, { type: 'strategic', subresource: 'status' });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) {
        this.#logger.warn({ namespace, name, err: error }, 'pod status could not be written');
      }
    }
  }

  #conditions(pod: Pod, condition: PodStatusChange['condition']): { conditions?: PodCondition[] } {
    if (condition === undefined) {
      return {};
    }
    const old = findCondition(pod.status?.conditions, condition.type);
    if (
      old?.status === condition.status &&
      (old.reason ?? '') === (condition.reason ?? '') &&
      (old.message ?? '') === (condition.message ?? '')
    ) {
      return {};
    }
    const lastTransitionTime =
      old?.status === condition.status && old.lastTransitionTime !== undefined
        ? old.lastTransitionTime
        : formatTime(new Date(this.#clock.now()));
    const { generation } = pod.metadata;
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    return { conditions: [{ ...condition, ...observed, lastTransitionTime }] };
  }
}

function nomination(pod: Pod, nodeName: string | undefined): { nominatedNodeName?: string | null } {
  if (nodeName === undefined || nodeName === (pod.status?.nominatedNodeName ?? '')) {
    return {};
  }
  return { nominatedNodeName: nodeName === '' ? null : nodeName };
}
