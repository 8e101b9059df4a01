import type { Taint, Toleration } from '../apimachinery/types/core-v1.ts';

/** Whether one toleration covers the taint: empty key (with Exists) covers all keys, empty effect all effects. */
export function tolerates({ key = '', operator = '', value = '', effect = '' }: Toleration, taint: Taint): boolean {
  if ((effect !== '' && effect !== taint.effect) || (key !== '' && key !== taint.key)) {
    return false;
  }
  const taintValue = taint.value ?? '';
  switch (operator) {
    case '':
    case 'Equal':
      return value === taintValue;
    case 'Exists':
      return true;
    case 'Lt':
    case 'Gt': {
      // The toleration's value is the threshold that the taint's value is held against.
      if (!integer.test(value) || !integer.test(taintValue)) {
        return false;
      }
      return operator === 'Lt' ? BigInt(taintValue) < BigInt(value) : BigInt(taintValue) > BigInt(value);
    }
    default:
      return false;
  }
}

const integer = /^-?[0-9]+$/;

/** The first of the taints with one of these effects that no toleration covers. */
export function untoleratedTaint(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[],
): Taint | undefined {
  return taints?.find(
    (taint) =>
      effects.includes(taint.effect) && !(tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
  );
}

/** Effects that keep a pod off a node it is not on yet. */
export const repellingEffects: readonly string[] = ['NoSchedule', 'NoExecute'];
