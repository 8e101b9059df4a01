import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Scale } from '../../apimachinery/types/autoscaling-v1.ts';
import type { PatchType } from '../../client/api-client.ts';
import { decodeBody, type RequestBody } from '../codec/decode-body.ts';
import { applyPatch } from '../patch/patch.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import type { WriteRequest } from '../registry/writes.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { badRequest, invalid, modified, noSuchResource } from '../status-errors.ts';

export const scaleKind = {
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  definition: 'io.k8s.api.autoscaling.v1.Scale',
};

/** The `scale` subresource: an `autoscaling/v1 Scale` as a view of another object. */
export class ScaleApi {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  async get(row: ResourceRow, namespace: string, name: string): Promise<Scale> {
    const stored = await this.#registry.reads.get(row, namespace, name);
    return scaleOf(row, stored.object);
  }

  update(row: ResourceRow, namespace: string, name: string, body: RequestBody, write: WriteRequest): Promise<Scale> {
    const wanted = decodeBody<Scale>(scaleKind, body, write.fieldValidation, write.warn);
    if (wanted.metadata?.name !== name) {
      throw badRequest(
        `the name of the object (${wanted.metadata?.name ?? ''}) does not match the name on the URL (${name})`,
      );
    }
    return this.#write(row, namespace, name, () => wanted, write);
  }

  patch(
    row: ResourceRow,
    namespace: string,
    name: string,
    type: PatchType,
    patch: unknown,
    write: WriteRequest,
  ): Promise<Scale> {
    return this.#write(
      row,
      namespace,
      name,
      (scale) => {
        const value = applyPatch({
          type: type === 'apply' ? 'merge' : type,
          patch,
          object: scale,
          definition: scaleKind.definition,
        });
        return decodeBody<Scale>(scaleKind, { value }, write.fieldValidation, write.warn);
      },
      write,
    );
  }

  async #write(
    row: ResourceRow,
    namespace: string,
    name: string,
    next: (scale: Scale) => Scale,
    write: WriteRequest,
  ): Promise<Scale> {
    const { scale } = row;
    if (scale === undefined) throw noSuchResource();
    const stored = await this.#registry.writes.update(
      { row, namespace, name, subresource: 'scale' },
      (current) => {
        const wanted = next(scaleOf(row, current));
        const replicas = wanted.spec?.replicas ?? 0;
        if (replicas < 0) {
          throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [
            {
              type: 'FieldValueInvalid',
              field: 'spec.replicas',
              detail: `Invalid value: ${replicas}: must be greater than or equal to 0`,
            },
          ]);
        }
        const version = wanted.metadata?.resourceVersion ?? '';
        if (version !== '' && version !== current.metadata?.resourceVersion) throw modified(row.handle, name);
        const object = cloneObject(current);
        scale.setReplicas(object, replicas);
        return object;
      },
      write,
    );
    return scaleOf(row, stored.object);
  }
}

function scaleOf(row: ResourceRow, object: KubernetesObject): Scale {
  const { scale } = row;
  if (scale === undefined) throw noSuchResource();
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata ?? {};
  const selector = scale.selector(object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: scale.replicas(object) },
    status: { replicas: scale.statusReplicas(object), ...(selector === '' ? {} : { selector }) },
  };
}
