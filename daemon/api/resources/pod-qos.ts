import { parseQuantity, type Quantity } from '../../apimachinery/quantity.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

const qosResources = ['cpu', 'memory'] as const;

function addPositive(totals: Map<string, Quantity>, resources: Record<string, string> | undefined): number {
  if (resources === undefined) return 0;
  let found = 0;
  for (const name of qosResources) {
    const text = resources[name];
    if (text === undefined) continue;
    const quantity = parseQuantity(text);
    if (quantity.sign <= 0) continue;
    const total = totals.get(name);
    totals.set(name, total === undefined ? quantity : total.add(quantity));
    found++;
  }
  return found;
}

/**
 * The quality of service a pod is owed: Guaranteed when every container has limits of CPU and memory and requests as
 * much, BestEffort when none asks for anything, else Burstable.
 */
export function podQosClass({ spec }: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const requests = new Map<string, Quantity>();
  const limits = new Map<string, Quantity>();
  let everyLimitSet = true;
  const holders = spec.resources !== undefined ? [spec] : [...spec.containers, ...(spec.initContainers ?? [])];
  for (const { resources } of holders) {
    addPositive(requests, resources?.requests);
    if (addPositive(limits, resources?.limits) < qosResources.length) everyLimitSet = false;
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort';
  const guaranteed =
    everyLimitSet &&
    requests.size === limits.size &&
    [...requests].every(([name, request]) => limits.get(name)?.equals(request) === true);
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
