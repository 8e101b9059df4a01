import { isApiError } from '../../apimachinery/api-error.ts';
import { withCondition } from '../../apimachinery/conditions.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
} from '../../apimachinery/types/apiextensions-v1.ts';
import type { Logger } from '../../log/logger.ts';
import type { WebhookClient } from '../admission/webhook/webhook-client.ts';
import type { OpenApi } from '../openapi/openapi.ts';
import { cloneObject } from '../registry/clone-object.ts';
import { jsonEqual } from '../registry/deep-equal.ts';
import type { Registry } from '../registry/registry.ts';
import { selectionOf } from '../registry/selection.ts';
import type { WriteRequest } from '../registry/writes.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { decideNames } from './accepted-names.ts';
import { customRows } from './custom-row.ts';
import { approvalAnnotation, isProtectedGroup } from './definition-validation.ts';
import { schemaOf } from './json-schema.ts';
import { customOpenApi } from './openapi.ts';
import { structuralErrors } from './structural.ts';

export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';
const retryMs = 200;

let scopes = 0;

interface Installed {
  /** What the rows were made of: they are made anew when it changes. */
  readonly spec: CustomResourceDefinition['spec'];
  readonly storage: ResourceRow;
  readonly served: readonly ResourceRow[];
}

/** The server itself writes conditions and cleans up. */
const asServer: WriteRequest = {
  identity: { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] },
  dryRun: false,
  fieldManager: 'kube-apiserver',
  fieldValidation: 'Ignore',
  warn: () => undefined,
};

/**
 * Serves what CustomResourceDefinitions define: follows them in the cache, keeps their conditions, and adds and removes
 * rows, discovery and OpenAPI as they come and go.
 */
export class CustomResources {
  readonly #registry: Registry;
  readonly #openApi: OpenApi;
  readonly #client: WebhookClient;
  readonly #onRows: (rows: readonly ResourceRow[]) => void;
  readonly #logger: Logger;
  readonly #scope = String(++scopes);
  readonly #installed = new Map<string, Installed>();
  readonly #published = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #dirty = new Set<string>();
  #running: Promise<void> | undefined;
  #stops: (() => void)[] = [];
  #stopped = false;

  /** `onRows`: told of what is served whenever that changes. */
  constructor(
    registry: Registry,
    openApi: OpenApi,
    client: WebhookClient,
    onRows: (rows: readonly ResourceRow[]) => void,
    logger: Logger,
  ) {
    this.#client = client;
    this.#registry = registry;
    this.#openApi = openApi;
    this.#onRows = onRows;
    this.#logger = logger;
  }

  /** Resolves when everything that is defined now is served. */
  async start(): Promise<void> {
    const cache = this.#registry.hub.cacheOf(this.#row());
    const all = (): void => {
      for (const stored of cache.list('')) this.#dirty.add(stored.name);
      for (const name of this.#installed.keys()) this.#dirty.add(name);
    };
    this.#stops = [
      cache.subscribe((events) => {
        for (const { object } of events) this.#dirty.add(object.name);
        void this.#drain();
      }),
      cache.onReset(() => {
        all();
        void this.#drain();
      }),
    ];
    all();
    await this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Every custom resource that is served, each in its stored version or else its first served one. */
  handles(): readonly Resource[] {
    return [...this.#installed.values()].flatMap(({ served }) => served.slice(0, 1).map(({ handle }) => handle));
  }

  /** Whether the resource's definition is being deleted: nothing new is let in then. */
  isTerminating(group: string, resource: string): boolean {
    return this.#definition(`${resource}.${group}`)?.metadata.deletionTimestamp !== undefined;
  }

  #row(): ResourceRow {
    return this.#registry.require('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
  }

  #definition(name: string): CustomResourceDefinition | undefined {
    return this.#registry.hub.cacheOf(this.#row()).get(name)?.object as CustomResourceDefinition | undefined;
  }

  #definitions(): CustomResourceDefinition[] {
    return this.#registry.hub
      .cacheOf(this.#row())
      .list('')
      .map(({ object }) => object as CustomResourceDefinition);
  }

  /** One definition after the other: each may depend on the names of those before. */
  #drain(): Promise<void> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #work(): Promise<void> {
    while (this.#dirty.size > 0 && !this.#stopped) {
      const names = this.#dirty;
      this.#dirty = new Set();
      for (const name of names) {
        try {
          await this.#reconcile(name);
        } catch (error) {
          if (this.#stopped) return;
          if (!isApiError(error, 'Conflict')) {
            this.#logger.warn({ err: error, crd: name }, 'cannot bring a custom resource up to date; trying again');
          }
          this.#again(name);
        }
      }
    }
  }

  #again(name: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#dirty.add(name);
      void this.#drain();
    }, retryMs);
    this.#timers.add(timer);
  }

  async #reconcile(name: string): Promise<void> {
    const crd = this.#definition(name);
    if (crd === undefined) {
      this.#withdraw(name);
      // Names that it held may now go to others.
      for (const other of this.#definitions()) {
        if (other.status?.conditions?.some(({ type, status }) => type === 'NamesAccepted' && status === 'False')) {
          this.#dirty.add(other.metadata.name!);
        }
      }
      return;
    }
    const isAccepted = crd.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True');
    const status = this.#statusOf(crd);
    const established = status.conditions?.some((one) => one.type === 'Established' && one.status === 'True');
    if (established) await this.#install(crd);
    if (!jsonEqual(status, crd.status)) await this.#writeStatus(name, () => status, crd);
    if (crd.metadata.deletionTimestamp !== undefined && isAccepted) await this.#cleanUp(crd);
    else if (crd.metadata.deletionTimestamp !== undefined) await this.#letGo(crd);
  }

  /** The names it gets and the conditions that follow. */
  #statusOf(crd: CustomResourceDefinition): NonNullable<CustomResourceDefinition['status']> {
    const others = this.#definitions().filter(
      (other) => other.spec.group === crd.spec.group && other.metadata.name !== crd.metadata.name,
    );
    const { accepted, ...decision } = decideNames(crd, others);
    const now = new Date();
    let conditions = (crd.status?.conditions ?? []) as CustomResourceDefinitionCondition[];
    const set = (condition: CustomResourceDefinitionCondition) => {
      conditions = withCondition(conditions, condition, now);
    };
    set({ type: 'NamesAccepted', ...decision });
    const was = conditions.some(({ type, status }) => type === 'Established' && status === 'True');
    if (decision.status === 'True') {
      set({
        type: 'Established',
        status: 'True',
        reason: 'InitialNamesAccepted',
        message: 'the initial names have been accepted',
      });
    } else if (!was) {
      set({ type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' });
    }
    const violation = crd.spec.versions.flatMap((version, index) =>
      structuralErrors(schemaOf(version), `spec.versions[${index}].schema.openAPIV3Schema`),
    )[0];
    if (violation !== undefined) {
      set({
        type: 'NonStructuralSchema',
        status: 'True',
        reason: 'Violations',
        message: `${violation.field}: ${violation.detail}`,
      });
    } else conditions = conditions.filter(({ type }) => type !== 'NonStructuralSchema');
    const approval = crd.metadata.annotations?.[approvalAnnotation] ?? '';
    if (isProtectedGroup(crd.spec.group) && approval !== '') {
      const approved = !approval.startsWith('unapproved');
      set({
        type: 'KubernetesAPIApprovalPolicyConformant',
        status: approved ? 'True' : 'False',
        reason: approved ? 'ApprovedAnnotation' : 'UnapprovedAnnotation',
        message: approved ? `approved in ${approval}` : `not approved: ${JSON.stringify(approval)}`,
      });
    }
    const storage = crd.spec.versions.filter((version) => version.storage).map(({ name }) => name);
    const storedVersions = [...new Set([...(crd.status?.storedVersions ?? []), ...storage])];
    return { ...crd.status, acceptedNames: accepted, conditions, storedVersions };
  }

  async #writeStatus(
    name: string,
    next: (status: CustomResourceDefinition['status']) => CustomResourceDefinition['status'],
    base?: CustomResourceDefinition,
  ): Promise<void> {
    await this.#registry.writes.update(
      { row: this.#row(), namespace: '', name, subresource: 'status' },
      (current) => {
        const crd = cloneObject(current) as CustomResourceDefinition;
        crd.status = cloneObject(next(crd.status)) ?? {};
        if (base !== undefined) crd.metadata.resourceVersion = base.metadata.resourceVersion!;
        return crd;
      },
      asServer,
    );
  }

  async #install(crd: CustomResourceDefinition): Promise<void> {
    const name = crd.metadata.name!;
    const installed = this.#installed.get(name);
    if (installed !== undefined && jsonEqual(installed.spec, crd.spec)) return;
    const { storage, served } = customRows(crd, this.#scope, this.#client);
    await this.#registry.install(storage, served);
    this.#installed.set(name, { spec: crd.spec, storage, served });
    this.#publish();
  }

  #withdraw(name: string): void {
    const installed = this.#installed.get(name);
    if (installed === undefined) return;
    this.#installed.delete(name);
    this.#registry.withdraw(installed.storage.storage);
    this.#publish();
  }

  /** Discovery and OpenAPI follow the rows. */
  #publish(): void {
    this.#onRows(this.#registry.rows);
    const byVersion = new Map<string, { group: string; version: string; crds: CustomResourceDefinition[] }>();
    for (const crd of this.#definitions()) {
      if (!this.#installed.has(crd.metadata.name!)) continue;
      for (const { name: version, served } of crd.spec.versions) {
        if (!served) continue;
        const key = `${crd.spec.group}/${version}`;
        const found = byVersion.get(key) ?? { group: crd.spec.group, version, crds: [] };
        found.crds.push(crd);
        byVersion.set(key, found);
      }
    }
    for (const key of this.#published) if (!byVersion.has(key)) this.#openApi.setCustom(key, undefined);
    this.#published.clear();
    for (const [key, { group, version, crds }] of byVersion) {
      this.#published.add(key);
      this.#openApi.setCustom(key, customOpenApi(crds, group, version));
    }
  }

  /** Deletes every object of a definition that is being deleted, then lets the definition go. */
  async #cleanUp(crd: CustomResourceDefinition): Promise<void> {
    const name = crd.metadata.name!;
    if (!crd.metadata.finalizers?.includes(cleanupFinalizer)) return;
    const { storage } = this.#installed.get(name) ?? {};
    if (storage !== undefined) {
      await this.#terminating(name, 'True', 'InstanceDeletionInProgress', 'CustomResource deletion is in progress');
      await this.#registry.deleteCollection({ selection: selectionOf(storage, {}) }, {}, asServer);
      const left = await this.#registry.reads.list({ selection: selectionOf(storage, {}) });
      if (left.items.length > 0) {
        this.#again(name);
        return;
      }
      await this.#terminating(name, 'False', 'InstanceDeletionCompleted', 'removed all instances');
    }
    await this.#letGo(crd);
  }

  #terminating(name: string, status: string, reason: string, message: string): Promise<void> {
    return this.#writeStatus(name, (current) => ({
      ...current,
      conditions: withCondition(current?.conditions ?? [], { type: 'Terminating', status, reason, message }),
    }));
  }

  async #letGo(crd: CustomResourceDefinition): Promise<void> {
    await this.#registry.writes
      .update(
        { row: this.#row(), namespace: '', name: crd.metadata.name!, subresource: '' },
        (current) => {
          const next = cloneObject(current) as KubernetesObject;
          next.metadata!.finalizers = (next.metadata!.finalizers ?? []).filter((one) => one !== cleanupFinalizer);
          return next;
        },
        asServer,
      )
      .catch((error: unknown) => {
        if (!isApiError(error, 'NotFound')) throw error;
      });
  }
}
