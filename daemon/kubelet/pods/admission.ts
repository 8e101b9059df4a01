import { milliOf, unitsOf } from '../../apimachinery/quantity.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { podRequirements } from '../container/resources.ts';

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

const resources = [
  { name: 'cpu', measure: milliOf },
  { name: 'memory', measure: unitsOf },
] as const;

const isOver = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/**
 * Whether the node can take a pod on beside those it has: a scheduler that did not know, or none at all, may have put it
 * here. Undefined: it can.
 */
export function refusal(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): Refusal | undefined {
  const active = others.filter((other) => !isOver(other));
  const lack = (name: string, requested: number, used: number, capacity: number): Refusal => ({
    reason: `OutOf${name}`,
    message: `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  });
  const places = unitsOf(allocatable['pods']);
  if (active.length + 1 > places) return lack('pods', 1, active.length, places);
  const wanted = podRequirements(pod).requests;
  for (const { name, measure } of resources) {
    const requested = measure(wanted?.[name]);
    if (requested === 0) continue;
    const capacity = measure(allocatable[name]);
    const used = active.reduce((sum, other) => sum + measure(podRequirements(other).requests?.[name]), 0);
    if (requested + used > capacity) return lack(name, requested, used, capacity);
  }
  return undefined;
}
