import { randomUUID } from 'node:crypto';
import { isApiError } from '../../apimachinery/api-error.ts';
import { apiVersionOf, type KubernetesObject } from '../../apimachinery/resource.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Identity } from '../../client/api-client.ts';
import type { AdmissionChain, AdmissionOperation, AdmissionRequest } from '../admission/admission.ts';
import { decodeBody, type FieldValidation, invalidPatch, type RequestBody } from '../codec/decode-body.ts';
import type { FieldError, ResourceRow, WriteContext } from '../resources/resource-row.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  generatedNameTaken,
  invalid,
  modified,
  notFound,
} from '../status-errors.ts';
import { cloneObject } from './clone-object.ts';
import { jsonEqual } from './deep-equal.ts';
import type { EventLeases } from './event-leases.ts';
import { generatedName } from './generated-name.ts';
import { keepSystemMetadata, mayBeRemoved, metadataChanges, nameMismatch, setNamespace } from './object-metadata.ts';
import type { ObjectStore } from './object-store.ts';
import type { Reservation, Reserve } from './service-reservations.ts';
import { cacheKey, encodeForStore, StoredObject, viewOf } from './stored-object.ts';
import { strategyOf } from './update-strategy.ts';

/** Who writes, and how. */
export interface WriteRequest {
  readonly identity: Identity;
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  readonly warn: (text: string) => void;
  /** `Apply`: the managed fields are written already, and no resource version is needed. */
  readonly operation?: 'Update' | 'Apply';
}

export interface UpdateTarget {
  readonly row: ResourceRow;
  readonly namespace: string;
  readonly name: string;
  /** Empty: the object itself. */
  readonly subresource: string;
}

/** What an update computes from the current object: the next one (a fresh copy, never the current object changed). */
export type ComputeUpdate = (current: KubernetesObject) => KubernetesObject | Promise<KubernetesObject>;

/** Keeps `metadata.managedFields` of a write; the patch module's, so that apply and update agree. */
export type TrackFields = (
  object: KubernetesObject,
  old: KubernetesObject | undefined,
  row: ResourceRow,
  write: {
    readonly manager: string;
    readonly subresource: string;
    readonly now: Date;
    readonly operation?: 'Update' | 'Apply';
  },
) => void;

const maxAttempts = 20;
const generateNameAttempts = 8;

/** CREATE and UPDATE of every resource: what Kubernetes' `rest.BeforeCreate`, `BeforeUpdate` and generic store do. */
export class Writes {
  readonly #objects: ObjectStore;
  readonly #admission: AdmissionChain;
  readonly #eventLeases: EventLeases;
  readonly #track: TrackFields | undefined;
  readonly #seen: (revision: number) => Promise<boolean> | true;
  /** Set once the caches are loaded. */
  reserve: Reserve | undefined;

  /** `seen`: resolves when the caches show a revision. */
  constructor(
    objects: ObjectStore,
    admission: AdmissionChain,
    eventLeases: EventLeases,
    seen: (revision: number) => Promise<boolean> | true,
    track?: TrackFields,
  ) {
    this.#objects = objects;
    this.#seen = seen;
    this.#admission = admission;
    this.#eventLeases = eventLeases;
    this.#track = track;
  }

  /** Decodes `body` and creates it. `name`: only for a create through PUT or apply, else empty. */
  async create(
    row: ResourceRow,
    namespace: string,
    body: RequestBody,
    write: WriteRequest,
    name = '',
  ): Promise<StoredObject> {
    const object = decodeBody<KubernetesObject>(row.handle, body, write.fieldValidation, write.warn);
    return this.createObject(row, namespace, object, write, name);
  }

  /** Creates `object`, which becomes the registry's own. */
  async createObject(
    row: ResourceRow,
    namespace: string,
    object: KubernetesObject,
    write: WriteRequest,
    name = '',
  ): Promise<StoredObject> {
    object.metadata ??= {};
    const metadata = object.metadata;
    setNamespace(row, object, namespace);
    if (name !== '' && metadata.name !== name) {
      if (metadata.name !== undefined && metadata.name !== '') throw nameMismatch(metadata.name, name);
      metadata.name = name;
    }
    if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
    delete metadata.resourceVersion;
    const generated = !metadata.name && !!metadata.generateName;
    const template = generated ? { ...metadata } : undefined;
    row.defaults?.(object);
    for (let attempt = 1; ; attempt++) {
      if (generated) {
        metadata.name = generatedName(template!.generateName!);
      }
      try {
        return await this.#createNamed(row, namespace, object, write);
      } catch (error) {
        if (!generated || !isApiError(error, 'AlreadyExists')) throw error;
        if (attempt >= generateNameAttempts) throw generatedNameTaken(row.handle, metadata.name!);
      }
    }
  }

  async #createNamed(
    row: ResourceRow,
    namespace: string,
    object: KubernetesObject,
    write: WriteRequest,
  ): Promise<StoredObject> {
    const now = new Date();
    const metadata = object.metadata!;
    const context = writeContext(write, namespace, '', now);
    // Admission plug-ins must see the identity that the object will have.
    metadata.uid = randomUUID();
    metadata.creationTimestamp = formatTime(now);
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    delete metadata.selfLink;
    delete metadata.generation;
    const admission = this.#admissionRequest(
      'CREATE',
      row,
      namespace,
      metadata.name ?? '',
      '',
      object,
      undefined,
      write,
    );
    await this.#admission.admit(admission);
    if (row.hasGeneration) metadata.generation = 1;
    row.prepareForCreate?.(object, context);
    const held = this.reserve?.(row, object, undefined);
    return this.#holding(held, async () => {
      this.#track?.(object, undefined, row, tracked(write, '', now));
      this.#refuseInvalid(row, metadata.name ?? '', [
        ...(metadata.name ? [] : [nameRequired]),
        ...(held?.errors ?? []),
        ...(row.validate?.(object, context) ?? []),
      ]);
      for (const warning of row.warnings?.(object, undefined) ?? []) write.warn(warning);
      await this.#admission.validate(admission);
      const name = metadata.name!;
      const key = cacheKey(namespace, name);
      if (write.dryRun) {
        if ((await this.#objects.current(row, key)) !== undefined) throw alreadyExists(row.handle, name);
        return dryRunResult(row, key, 0, object);
      }
      return this.#objects.create(row, key, name, object, await this.#eventLeases.leaseFor(row));
    });
  }

  /** Runs a write; what it reserved is let go when it fails, or once the caches show what it wrote. */
  async #holding(held: Reservation | undefined, write: () => Promise<StoredObject>): Promise<StoredObject> {
    if (held === undefined) return write();
    try {
      const stored = await write();
      const seen = this.#seen(stored.revision);
      if (seen === true) held.release();
      else void seen.then(() => held.release());
      return stored;
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** PUT. */
  async put(
    target: UpdateTarget,
    body: RequestBody,
    write: WriteRequest,
  ): Promise<{ object: StoredObject; created: boolean }> {
    const { row, name, namespace } = target;
    const next = decodeBody<KubernetesObject>(row.handle, body, write.fieldValidation, write.warn);
    next.metadata ??= {};
    if (next.metadata.name !== name) {
      if (next.metadata.name) throw nameMismatch(next.metadata.name, name);
      throw badRequest('name must be provided');
    }
    setNamespace(row, next, namespace);
    const allowCreate = row.allowCreateOnUpdate === true && target.subresource === '';
    const compute = () => cloneObject(next);
    try {
      return { object: await this.update(target, compute, write), created: false };
    } catch (error) {
      if (!allowCreate || !isApiError(error, 'NotFound') || error.status.details?.name !== name) throw error;
      if (next.metadata.uid || next.metadata.resourceVersion) {
        throw next.metadata.uid
          ? conflict(
              row.handle,
              name,
              `Precondition failed: UID in precondition: ${next.metadata.uid}, UID in object meta: `,
            )
          : notFound(row.handle, name);
      }
      return { object: await this.createObject(row, namespace, cloneObject(next), write, name), created: true };
    }
  }

  /** A patch: `patch` makes the JSON of the next object from that of the current one. */
  async patch(
    target: UpdateTarget,
    patch: (current: KubernetesObject) => { value: unknown; shown?: unknown },
    write: WriteRequest,
  ): Promise<StoredObject> {
    const { row, name } = target;
    return this.update(
      target,
      (current) => {
        // A retry must not warn twice.
        const warnings = new Set<string>();
        const patched = patch(current);
        const next = decodeBody<KubernetesObject>(
          row.handle,
          patched,
          write.fieldValidation,
          (text) => warnings.add(text),
          (why) => invalidPatch(patched.shown ?? JSON.stringify(patched.value), why),
        );
        for (const warning of warnings) write.warn(warning);
        next.metadata ??= {};
        if ((next.metadata.name ?? '') !== name) {
          throw nameMismatch(next.metadata.name ?? '', name);
        }
        setNamespace(row, next, target.namespace);
        return next;
      },
      write,
    );
  }

  /**
   * Reads, computes, checks and writes until no one else wrote in between. A `compute` whose result carries a resource
   * version other than the current one fails with a conflict. An update that changes nothing writes nothing.
   */
  async update(target: UpdateTarget, compute: ComputeUpdate, write: WriteRequest): Promise<StoredObject> {
    const { row, namespace, name } = target;
    const key = cacheKey(namespace, name);
    let current = this.#objects.cached(row, key);
    let fresh = false;
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      if (current === undefined) {
        if (!fresh) current = await this.#objects.current(row, key);
        fresh = true;
        if (current === undefined) throw notFound(row.handle, name);
      }
      const view = await viewOf(current, row);
      let prepared: { next: KubernetesObject; held: Reservation | undefined } | undefined;
      try {
        prepared = await this.#prepareUpdate(target, view.object, await compute(view.object), write);
      } catch (error) {
        // A refusal counts only if it was about the newest state.
        if (fresh) throw error;
        const newest = await this.#objects.current(row, key);
        fresh = true;
        if (newest?.revision === current.revision) throw error;
        current = newest;
        continue;
      }
      if (prepared === undefined) {
        if (fresh) return view;
        const newest = await this.#objects.current(row, key);
        fresh = true;
        if (newest?.revision === current.revision) return view;
        current = newest;
        continue;
      }
      const { next, held } = prepared;
      if (write.dryRun) {
        held?.release();
        return dryRunResult(row, key, current.revision, next);
      }
      const replaced = current;
      let newer: StoredObject | undefined;
      const done = await this.#holding(held, async () => {
        const result = mayBeRemoved(next)
          ? await this.#objects.remove(replaced)
          : await this.#objects.replace(row, replaced, next, await this.#eventLeases.leaseFor(row));
        if ('written' in result) return result.written;
        if ('revision' in result) return dryRunResult(row, key, replaced.revision, next);
        newer = result.newer;
        return replaced;
      });
      if (done !== replaced) return done;
      current = newer;
      fresh = true;
    }
    throw modified(row.handle, name);
  }

  /** The object to store, or undefined when nothing changes. */
  async #prepareUpdate(
    target: UpdateTarget,
    old: KubernetesObject,
    next: KubernetesObject,
    write: WriteRequest,
  ): Promise<{ next: KubernetesObject; held: Reservation | undefined } | undefined> {
    const { row, namespace, name, subresource } = target;
    const now = new Date();
    const context = writeContext(write, namespace, subresource, now);
    next.metadata ??= {};
    const metadata = next.metadata;
    const oldMetadata = old.metadata!;
    const version = metadata.resourceVersion ?? '';
    if (version === '') {
      if (row.allowUnconditionalUpdate === false && write.operation !== 'Apply') {
        throw invalid(row.handle, name, [
          {
            type: 'FieldValueInvalid',
            field: 'metadata.resourceVersion',
            detail: 'Invalid value: "": must be specified for an update',
          },
        ]);
      }
    } else if (version !== oldMetadata.resourceVersion) {
      throw modified(row.handle, name);
    }
    if (metadata.uid && metadata.uid !== oldMetadata.uid) {
      throw conflict(
        row.handle,
        name,
        `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${oldMetadata.uid}`,
      );
    }
    keepSystemMetadata(next, old);
    row.defaults?.(next);
    const strategy = strategyOf(row, subresource);
    strategy.prepareForUpdate?.(next, old, context);
    const admission = this.#admissionRequest('UPDATE', row, namespace, name, subresource, next, old, write);
    await this.#admission.admit(admission);
    const held = subresource === '' ? this.reserve?.(row, next, old) : undefined;
    try {
      return (await this.#finishUpdate(target, old, next, write, context, admission, held))
        ? { next, held }
        : this.#unchanged(held);
    } catch (error) {
      held?.release();
      throw error;
    }
  }

  #unchanged(held: Reservation | undefined): undefined {
    held?.release();
  }

  /** Validates; false when nothing changes. */
  async #finishUpdate(
    { row, name, subresource }: UpdateTarget,
    old: KubernetesObject,
    next: KubernetesObject,
    write: WriteRequest,
    context: WriteContext,
    admission: AdmissionRequest,
    held: Reservation | undefined,
  ): Promise<boolean> {
    const metadata = next.metadata!;
    const oldMetadata = old.metadata!;
    const strategy = strategyOf(row, subresource);
    if (row.hasGeneration) {
      const noted =
        row.generationCountsAnnotations === true &&
        subresource === '' &&
        !jsonEqual(metadata.annotations ?? {}, oldMetadata.annotations ?? {});
      const changed = noted || !jsonEqual(next, old, row.generationIgnores ?? notSpec);
      const generation = (oldMetadata.generation ?? 0) + (changed ? 1 : 0);
      if (generation > 0) metadata.generation = generation;
    }
    if (jsonEqual(next, old)) return false;
    this.#track?.(next, old, row, tracked(write, subresource, context.now));
    this.#refuseInvalid(row, name, [
      ...(held?.errors ?? []),
      ...metadataChanges(next, old),
      ...(strategy.validateUpdate?.(next, old, context) ?? []),
    ]);
    for (const warning of row.warnings?.(next, old) ?? []) write.warn(warning);
    await this.#admission.validate(admission);
    return true;
  }

  #admissionRequest(
    operation: AdmissionOperation,
    row: ResourceRow,
    namespace: string,
    name: string,
    subresource: string,
    object: KubernetesObject | undefined,
    old: KubernetesObject | undefined,
    write: WriteRequest,
  ) {
    const { identity, dryRun, warn } = write;
    return { operation, row, namespace, name, subresource, object, old, identity, dryRun, warn };
  }

  #refuseInvalid(row: ResourceRow, name: string, errors: readonly FieldError[]): void {
    if (errors.length > 0) throw invalid(row.handle, name, errors);
  }
}

const nameRequired: FieldError = {
  type: 'FieldValueRequired',
  field: 'metadata.name',
  detail: 'Required value: name or generateName is required',
};

const notSpec: ReadonlySet<string> = new Set(['metadata', 'status', 'apiVersion', 'kind']);

function tracked(write: WriteRequest, subresource: string, now: Date) {
  const { fieldManager: manager, operation = 'Update' } = write;
  return { manager, subresource, now, operation };
}

export function writeContext(write: WriteRequest, namespace: string, subresource: string, now: Date): WriteContext {
  return { identity: write.identity, namespace, subresource, now, dryRun: write.dryRun };
}

/** An answer that looks stored and is not. `revision` 0: without a resource version. */
function dryRunResult(row: ResourceRow, key: string, revision: number, object: KubernetesObject): StoredObject {
  object.apiVersion = apiVersionOf(row.handle);
  object.kind = row.handle.kind;
  if (revision > 0) object.metadata!.resourceVersion = String(revision);
  return new StoredObject(row, key, revision, encodeForStore(row, object), object);
}
