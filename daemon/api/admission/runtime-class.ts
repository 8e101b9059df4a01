import { tryParseQuantity } from '../../apimachinery/quantity.ts';
import type { Pod, Toleration } from '../../apimachinery/types/core-v1.ts';
import type { RuntimeClass } from '../../apimachinery/types/node-v1.ts';
import { jsonEqual } from '../registry/deep-equal.ts';
import type { Registry } from '../registry/registry.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

type Amounts = Readonly<Record<string, string>>;

/** A pod takes over what its runtime class says it costs and where it runs. */
export function runtimeClass(registry: () => Registry): AdmissionPlugin {
  const classOf = async (request: AdmissionRequest): Promise<RuntimeClass | undefined> => {
    const name = (request.object as Pod).spec?.runtimeClassName;
    if (name === undefined) return undefined;
    const classes = registry().require('node.k8s.io', 'v1', 'runtimeclasses');
    const found = registry().objects.cached(classes, name) ?? (await registry().objects.current(classes, name));
    if (found === undefined) throw refused(request, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
    return found.object as RuntimeClass;
  };
  return {
    name: 'RuntimeClass',
    operations: ['CREATE'],
    resources: ['pods'],
    async admit(request) {
      if (request.subresource !== '') return;
      const { spec } = request.object as Pod;
      const found = await classOf(request);
      if (found === undefined || spec === undefined) return;
      const fixed = found.overhead?.podFixed;
      if (fixed !== undefined) {
        if (spec.overhead !== undefined && !sameAmounts(spec.overhead, fixed)) {
          throw refused(request, `pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`);
        }
        spec.overhead = { ...fixed };
      }
      const { nodeSelector = {}, tolerations = [] } = found.scheduling ?? {};
      for (const [key, value] of Object.entries(nodeSelector)) {
        const own = spec.nodeSelector?.[key];
        if (own === undefined || own === value) continue;
        throw refused(
          request,
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
        );
      }
      if (Object.keys(nodeSelector).length > 0) spec.nodeSelector = { ...spec.nodeSelector, ...nodeSelector };
      const missing = tolerations.filter((entry) => !(spec.tolerations ?? []).some((own) => jsonEqual(own, entry)));
      if (missing.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...missing.map(copied)];
    },
    async validate(request) {
      if (request.subresource !== '') return;
      const { overhead } = (request.object as Pod).spec ?? {};
      if (overhead === undefined || Object.keys(overhead).length === 0) return;
      const fixed = (await classOf(request))?.overhead?.podFixed;
      if (fixed === undefined) {
        throw refused(request, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
      }
      if (!sameAmounts(overhead, fixed)) {
        throw refused(request, `pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`);
      }
    },
  };
}

const copied = (toleration: Toleration): Toleration => ({ ...toleration });

function sameAmounts(a: Amounts, b: Amounts): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => {
      const other = tryParseQuantity(b[name] ?? '');
      return other !== undefined && tryParseQuantity(a[name]!)?.compare(other) === 0;
    })
  );
}

function refused({ row, name, object }: AdmissionRequest, why: string): Error {
  return forbidden(row.handle, name || (object?.metadata?.name ?? ''), why);
}
