import type { KubernetesObject, Resource } from '../apimachinery/resource.ts';
import type { PatchType } from '../client/api-client.ts';
import type { AuthorizerChain } from './authorization/authorizer.ts';
import type { RbacAuthorizer } from './authorization/rbac.ts';
import type { RequestBody } from './codec/decode-body.ts';
import type { HandlerContext } from './http/resource-handler.ts';
import { applyPatch } from './patch/patch.ts';
import type { Registry } from './registry/registry.ts';
import type { StoredObject } from './registry/stored-object.ts';
import type { UpdateTarget, WriteRequest } from './registry/writes.ts';
import type { ResourceRow } from './resources/resource-row.ts';
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
    const { definition } = target.row.handle;
    void force;
    const kind = type === 'apply' ? 'merge' : type;
    const object = await this.registry.writes.patch(
      target,
      (current) => ({
        value: applyPatch({ type: kind, patch, object: current, definition }),
        ...(kind === 'strategic' ? { shown: patch } : {}),
      }),
      write,
    );
    return { object, created: false };
  }
}
