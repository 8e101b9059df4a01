import type { Pod, Toleration } from '../../apimachinery/types/core-v1.ts';
import type { AdmissionPlugin } from './admission.ts';

const defaultSeconds = 300;
const keys = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

function tolerates(toleration: Toleration, key: string): boolean {
  const everyKey = (toleration.key ?? '') === '' && toleration.operator === 'Exists';
  return (toleration.key === key || everyKey) && (!toleration.effect || toleration.effect === 'NoExecute');
}

/** A pod stays five minutes on a node that is not ready or out of reach, unless it says how long. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  operations: ['CREATE'],
  resources: ['pods'],
  admit({ object }) {
    const { spec } = object as Pod;
    if (spec === undefined) return;
    const tolerations = spec.tolerations ?? [];
    for (const key of keys) {
      if (tolerations.some((toleration) => tolerates(toleration, key))) continue;
      tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: defaultSeconds });
    }
    spec.tolerations = tolerations;
  },
};
