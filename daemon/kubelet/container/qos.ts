import { parseQuantity } from '../../apimachinery/quantity.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const computeResources = ['cpu', 'memory'] as const;

const amount = (list: Readonly<Record<string, string>> | undefined, name: string): bigint =>
  list?.[name] === undefined ? 0n : parseQuantity(list[name]).nanos;

type Requirements = Pick<Container, 'resources'>;

/** Guaranteed: every container limits CPU and memory and requests just that. BestEffort: none asks for anything. */
export function qosClass(pod: Pod): QosClass {
  const podLevel = pod.spec?.resources;
  const all: readonly Requirements[] =
    podLevel === undefined
      ? [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]
      : [{ resources: podLevel }];
  let asks = false;
  let guaranteed = true;
  for (const { resources } of all) {
    for (const name of computeResources) {
      const limit = amount(resources?.limits, name);
      const request = resources?.requests?.[name] === undefined ? limit : amount(resources.requests, name);
      if (limit > 0n || request > 0n) asks = true;
      if (limit === 0n || request !== limit) guaranteed = false;
    }
  }
  if (!asks) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
