import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { PriorityClass } from '../../apimachinery/types/scheduling-v1.ts';
import type { Registry } from '../registry/registry.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin } from './admission.ts';

/** Turns a pod's priority class, or the global default, into the number that the scheduler compares. */
export function priority(registry: () => Registry): AdmissionPlugin {
  return {
    name: 'Priority',
    operations: ['CREATE'],
    resources: ['pods'],
    async admit({ row, object }) {
      const pod = object as Pod;
      const { spec } = pod;
      if (spec === undefined) return;
      const classes = registry().require('scheduling.k8s.io', 'v1', 'priorityclasses');
      let chosen: PriorityClass | undefined;
      if (spec.priorityClassName) {
        const stored =
          registry().objects.cached(classes, spec.priorityClassName) ??
          (await registry().objects.current(classes, spec.priorityClassName));
        if (stored === undefined) {
          throw forbidden(
            row.handle,
            pod.metadata?.name ?? '',
            `no PriorityClass with name ${spec.priorityClassName} was found`,
          );
        }
        chosen = stored.object as PriorityClass;
      } else {
        chosen = registry()
          .hub.cacheOf(classes)
          .list('')
          .map((stored) => stored.object as PriorityClass)
          .filter((candidate) => candidate.globalDefault)
          .sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
        if (chosen !== undefined) spec.priorityClassName = chosen.metadata!.name!;
      }
      const value = chosen?.value ?? 0;
      if (spec.priority !== undefined && spec.priority !== value) {
        throw forbidden(
          row.handle,
          pod.metadata?.name ?? '',
          `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      }
      spec.priority = value;
      const policy = chosen?.preemptionPolicy ?? 'PreemptLowerPriority';
      if (
        spec.preemptionPolicy !== undefined &&
        spec.preemptionPolicy !== policy &&
        chosen?.preemptionPolicy !== undefined
      ) {
        throw forbidden(
          row.handle,
          pod.metadata?.name ?? '',
          `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      }
      spec.preemptionPolicy = policy;
    },
  };
}
