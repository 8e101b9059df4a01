import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { formatTime, parseTime } from '../../apimachinery/time.ts';
import type { Status } from '../../apimachinery/types/meta-v1.ts';
import type { AdmissionChain } from '../admission/admission.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { badRequest, conflict, modified, notFound, successStatus } from '../status-errors.ts';
import { cloneObject } from './clone-object.ts';
import type { ObjectStore } from './object-store.ts';
import { cacheKey, type StoredObject, viewOf } from './stored-object.ts';
import type { WriteRequest } from './writes.ts';

export interface DeleteRequest {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** The object as it is left or was, or the Status that says it is gone. */
export type Deleted = { readonly object: StoredObject; readonly gone: boolean } | { readonly status: Status };

const maxAttempts = 20;
const orphanFinalizer = 'orphan';
const foregroundFinalizer = 'foregroundDeletion';

/** Kinds whose deletion answers with the object itself rather than a Status. */
const returnsDeleted: ReadonlySet<string> = new Set([
  'pods',
  'persistentvolumeclaims',
  'persistentvolumes',
  'podtemplates',
  'resourcequotas',
  'serviceaccounts',
  'services/specs',
]);

/** DELETE: `rest.BeforeDelete` and the finalizer handling of Kubernetes' generic store. */
export class Deletion {
  readonly #objects: ObjectStore;
  readonly #admission: AdmissionChain;

  constructor(objects: ObjectStore, admission: AdmissionChain) {
    this.#objects = objects;
    this.#admission = admission;
  }

  async delete(
    row: ResourceRow,
    namespace: string,
    name: string,
    options: DeleteRequest,
    write: WriteRequest,
  ): Promise<Deleted> {
    checkOptions(options);
    const key = cacheKey(namespace, name);
    let current = await this.#objects.current(row, key);
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      if (current === undefined) throw notFound(row.handle, name);
      const view = await viewOf(current, row);
      checkPreconditions(row, name, view.object, options.preconditions);
      const admission = {
        operation: 'DELETE' as const,
        row,
        namespace,
        name,
        subresource: '',
        old: view.object,
        identity: write.identity,
        dryRun: write.dryRun,
        warn: write.warn,
      };
      await this.#admission.admit(admission);
      await this.#admission.validate(admission);
      const plan = planDeletion(row, view.object, options);
      if (plan === 'unchanged') return { object: view, gone: false };
      if (plan !== 'remove') {
        if (write.dryRun) return { object: view, gone: false };
        const result = await this.#objects.replace(row, current, plan);
        if ('written' in result) return { object: result.written, gone: false };
        if (!('newer' in result)) throw modified(row.handle, name);
        current = result.newer;
        continue;
      }
      if (write.dryRun) return this.#gone(row, view);
      const result = await this.#objects.remove(current);
      if ('revision' in result) return this.#gone(row, view.withRevision(result.revision));
      current = result.newer;
    }
    throw modified(row.handle, name);
  }

  #gone(row: ResourceRow, object: StoredObject): Deleted {
    if (returnsDeleted.has(row.storage)) return { object, gone: true };
    return { status: successStatus(row.handle, object.name, object.object.metadata?.uid) };
  }
}

function checkOptions(options: DeleteRequest): void {
  const { propagationPolicy: policy } = options;
  const problems: string[] = [];
  if (policy !== undefined && options.orphanDependents !== undefined) {
    problems.push(
      `propagationPolicy: Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
    );
  }
  if (policy !== undefined && !['Orphan', 'Background', 'Foreground', ''].includes(policy)) {
    problems.push(
      `propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Background", "Foreground", "Orphan", "nil"`,
    );
  }
  if (problems.length > 0) throw badRequest(`DeleteOptions.meta.k8s.io "" is invalid: ${problems.join(', ')}`);
}

function checkPreconditions(
  row: ResourceRow,
  name: string,
  object: KubernetesObject,
  preconditions: DeleteRequest['preconditions'],
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  const metadata = object.metadata!;
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(
      row.handle,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      row.handle,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

/** Finalizers after the caller's wish for the dependents. */
function finalizersFor(current: readonly string[], options: DeleteRequest): string[] {
  const orphan =
    options.orphanDependents ??
    (options.propagationPolicy === undefined ? undefined : options.propagationPolicy === 'Orphan');
  const foreground = options.propagationPolicy === undefined ? undefined : options.propagationPolicy === 'Foreground';
  const others = current.filter((finalizer) => finalizer !== orphanFinalizer && finalizer !== foregroundFinalizer);
  const keepOrphan = orphan ?? current.includes(orphanFinalizer);
  const keepForeground =
    orphan === true ? false : (foreground ?? (orphan === undefined && current.includes(foregroundFinalizer)));
  if (keepOrphan) others.push(orphanFinalizer);
  if (keepForeground) others.push(foregroundFinalizer);
  return others;
}

/** What a deletion does to an object now: remove it, leave it as it is, or the object marked. */
function planDeletion(
  row: ResourceRow,
  object: KubernetesObject,
  options: DeleteRequest,
): KubernetesObject | 'remove' | 'unchanged' {
  const metadata = object.metadata!;
  const before = metadata.finalizers ?? [];
  const finalizers = finalizersFor(before, options);
  const sameFinalizers =
    finalizers.length === before.length && finalizers.every((finalizer) => before.includes(finalizer));
  const namespaceHeld = object.kind === 'Namespace' && namespaceFinalizers(object).length > 0;
  const requested =
    options.gracePeriodSeconds !== undefined && options.gracePeriodSeconds < 0 ? 1 : options.gracePeriodSeconds;
  const now = new Date();

  if (metadata.deletionTimestamp !== undefined) {
    const left = metadata.deletionGracePeriodSeconds ?? 0;
    const wanted =
      row.gracePeriod === undefined ? 0 : requested === undefined ? left : row.gracePeriod(object, requested);
    const grace = Math.min(left, wanted);
    if (grace === 0 && finalizers.length === 0 && !namespaceHeld) return 'remove';
    if (grace === left && sameFinalizers) return 'unchanged';
    const next = cloneObject(object);
    const started = (parseTime(metadata.deletionTimestamp) ?? now.getTime()) - left * 1000;
    setFinalizers(next, finalizers);
    next.metadata!.deletionTimestamp = formatTime(new Date(started + grace * 1000));
    next.metadata!.deletionGracePeriodSeconds = grace;
    return next;
  }

  const grace = row.gracePeriod?.(object, requested) ?? 0;
  if (grace === 0 && finalizers.length === 0 && !namespaceHeld) return 'remove';
  const next = cloneObject(object);
  setFinalizers(next, finalizers);
  next.metadata!.deletionTimestamp = formatTime(new Date(now.getTime() + grace * 1000));
  // A namespace has no grace period of its own.
  if (object.kind !== 'Namespace') next.metadata!.deletionGracePeriodSeconds = grace;
  if ((metadata.generation ?? 0) > 0) next.metadata!.generation = metadata.generation! + 1;
  if (object.kind === 'Namespace') {
    const namespace = next as { status?: { phase?: string } };
    namespace.status = { ...namespace.status, phase: 'Terminating' };
  }
  return next;
}

function namespaceFinalizers(object: KubernetesObject): readonly string[] {
  return (object as { spec?: { finalizers?: string[] } }).spec?.finalizers ?? [];
}

function setFinalizers(object: KubernetesObject, finalizers: string[]): void {
  if (finalizers.length === 0) delete object.metadata!.finalizers;
  else object.metadata!.finalizers = finalizers;
}
