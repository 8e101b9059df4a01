import { isApiError } from '../apimachinery/api-error.ts';
import { apiVersionOf, type KubernetesObject, type Resource } from '../apimachinery/resource.ts';
import type { PatchType } from '../client/api-client.ts';
import type { AuthorizerChain } from './authorization/authorizer.ts';
import type { RbacAuthorizer } from './authorization/rbac.ts';
import type { RequestBody } from './codec/decode-body.ts';
import { decodeBody } from './codec/decode-body.ts';
import type { HandlerContext } from './http/resource-handler.ts';
import { applyServerSide } from './patch/apply.ts';
import { applyPatch } from './patch/patch.ts';
import type { Registry } from './registry/registry.ts';
import type { StoredObject } from './registry/stored-object.ts';
import type { UpdateTarget, WriteRequest } from './registry/writes.ts';
import type { Column, ResourceRow } from './resources/resource-row.ts';
import { badRequest } from './status-errors.ts';
import { ScaleApi } from './subresources/scale.ts';

export interface SubresourceCreate {
  readonly api: ResourceApi;
  readonly row: ResourceRow;
  readonly namespace: string;
  readonly name: string;
  readonly body: KubernetesObject;
  readonly write: WriteRequest;
}

type BodyKind = Pick<Resource, 'group' | 'version' | 'kind' | 'definition'>;

/** A subresource that is created (POST) rather than read and replaced: `pods/binding`. */
export interface CreatedSubresource {
  readonly kind: BodyKind;
  readonly create: (request: SubresourceCreate) => Promise<object>;
}

/** A resource that answers and stores nothing. */
export interface VirtualResource {
  readonly kind: BodyKind & { readonly namespaced: boolean; readonly resource: string };
  readonly create?: (request: {
    readonly api: ResourceApi;
    readonly namespace: string;
    readonly body: KubernetesObject;
    readonly write: WriteRequest;
  }) => Promise<object>;
  /** What kubectl's table of it shows. */
  readonly columns?: readonly Column<KubernetesObject>[];
  /** `name` empty: the list. */
  readonly read?: (name: string) => Promise<object>;
}

/** A create that needs more than the registry does by itself: `services` take an address. */
export type Creator = (request: {
  readonly api: ResourceApi;
  readonly row: ResourceRow;
  readonly namespace: string;
  readonly body: RequestBody;
  readonly write: WriteRequest;
}) => Promise<StoredObject>;

export interface ResourceApiTables {
  /** By `pods/binding`. */
  readonly subresources: ReadonlyMap<string, CreatedSubresource>;
  /** By `authorization.k8s.io/v1/subjectaccessreviews`. */
  readonly virtual: ReadonlyMap<string, VirtualResource>;
  readonly creators: ReadonlyMap<string, Creator>;
  readonly connect: (context: HandlerContext, row: ResourceRow) => Promise<void>;
}

/** The API of all resources, as the HTTP side and the in-process client share it. */
export class ResourceApi {
  readonly registry: Registry;
  readonly authorizer: AuthorizerChain;
  readonly rbac: RbacAuthorizer;
  readonly subresources: ResourceApiTables['subresources'];
  readonly virtual: ResourceApiTables['virtual'];
  readonly creators: ResourceApiTables['creators'];
  readonly connect: ResourceApiTables['connect'];
  readonly scale: ScaleApi;

  constructor(registry: Registry, authorizer: AuthorizerChain, rbac: RbacAuthorizer, tables: ResourceApiTables) {
    this.registry = registry;
    this.authorizer = authorizer;
    this.rbac = rbac;
    this.subresources = tables.subresources;
    this.virtual = tables.virtual;
    this.creators = tables.creators;
    this.connect = tables.connect;
    this.scale = new ScaleApi(registry);
  }

  put(
    target: UpdateTarget,
    body: RequestBody,
    write: WriteRequest,
  ): Promise<{ object: StoredObject; created: boolean }> {
    return this.registry.writes.put(target, body, write);
  }

  async patch(
    target: UpdateTarget,
    type: PatchType,
    patch: unknown,
    write: WriteRequest,
    force: boolean,
  ): Promise<{ object: StoredObject; created: boolean }> {
    if (type === 'apply') return this.#apply(target, patch, write, force);
    const { definition } = target.row.handle;
    const object = await this.registry.writes.patch(
      target,
      (current) => ({
        value: applyPatch({ type, patch, object: current, definition }),
        ...(type === 'strategic' ? { shown: patch } : {}),
      }),
      write,
    );
    return { object, created: false };
  }
  /** Server-side apply: the configuration merged into the object, which is created when there is none. */
  async #apply(
    target: UpdateTarget,
    patch: unknown,
    write: WriteRequest,
    force: boolean,
  ): Promise<{ object: StoredObject; created: boolean }> {
    const { row, namespace, name, subresource } = target;
    const { handle } = row;
    // Types and unknown fields are the configuration's own: checked before it is merged with anything.
    const checked = decodeBody<KubernetesObject>(handle, { value: patch }, write.fieldValidation, write.warn);
    const given = checked.metadata?.name ?? '';
    if (given !== '' && given !== name) {
      throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
    }
    const sent = patch as KubernetesObject;
    const config = {
      ...sent,
      metadata: {
        ...sent.metadata,
        name,
        ...(handle.namespaced ? { namespace: sent.metadata?.namespace ?? namespace } : {}),
      },
    };
    const merge = (live: KubernetesObject | undefined) => ({
      value: applyServerSide({
        live,
        config,
        definition: handle.definition,
        manager: write.fieldManager,
        subresource,
        apiVersion: apiVersionOf(handle),
        force,
        now: new Date(),
      }),
    });
    const quiet: WriteRequest = { ...write, fieldValidation: 'Ignore', operation: 'Apply' };
    try {
      return { object: await this.registry.writes.patch(target, merge, quiet), created: false };
    } catch (error) {
      if (subresource !== '' || !isApiError(error, 'NotFound') || error.status.details?.name !== name) throw error;
      if (checked.metadata?.uid || checked.metadata?.resourceVersion) throw error;
    }
    try {
      return {
        object: await this.registry.writes.create(row, namespace, merge(undefined), quiet, name),
        created: true,
      };
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error;
      // Someone else was first: what they made is what to merge with.
      return { object: await this.registry.writes.patch(target, merge, quiet), created: false };
    }
  }
}
