import { isApiError } from '../../apimachinery/api-error.ts';
import { controllerOf, makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { ApiClient } from '../../client/api-client.ts';
import { objectKey } from '../object-key.ts';
import { isTerminating } from './pod-state.ts';

export interface ClaimOptions<T> {
  readonly client: ApiClient;
  /** Resource of the objects to claim. */
  readonly resource: Resource<T & KubernetesObject>;
  readonly owner: KubernetesObject;
  readonly ownerResource: Resource;
  readonly matches: (object: T) => boolean;
  /** Set on adoption too, such as the job tracking finalizer. */
  readonly finalizers?: readonly string[];
}

/**
 * The objects among `candidates` that `owner` controls, after adopting the orphans its selector matches and releasing those
 * it no longer matches. Adoption first asks the API whether the owner still exists: the cache may not know of its deletion.
 */
export async function claimObjects<T extends KubernetesObject>(
  candidates: readonly T[],
  options: ClaimOptions<T>,
): Promise<T[]> {
  const { owner } = options;
  const claimed: T[] = [];
  const errors: unknown[] = [];
  let adoptable: Promise<void> | undefined;
  for (const object of candidates) {
    const reference = controllerOf(object);
    try {
      if (reference !== undefined) {
        if (reference.uid !== owner.metadata?.uid) continue;
        if (options.matches(object)) claimed.push(object);
        else if (!isTerminating(owner)) await release(object, options);
        continue;
      }
      if (isTerminating(owner) || isTerminating(object) || !options.matches(object)) continue;
      if (object.metadata?.namespace !== owner.metadata?.namespace) continue;
      adoptable ??= assertStillThere(options);
      await adoptable;
      if (await adopt(object, options)) claimed.push(object);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return claimed;
}

async function assertStillThere<T>({ client, owner, ownerResource }: ClaimOptions<T>): Promise<void> {
  const { namespace, name, uid } = owner.metadata ?? {};
  const fresh = await client.get(ownerResource, objectKey(owner));
  if (fresh.metadata?.uid !== uid) {
    throw new Error(
      `original ${ownerResource.kind} ${namespace}/${name} is gone: got uid ${fresh.metadata?.uid}, wanted ${uid}`,
    );
  }
  if (fresh.metadata?.deletionTimestamp !== undefined) {
    throw new Error(`${namespace}/${name} has just been deleted at ${fresh.metadata.deletionTimestamp}`);
  }
}

async function adopt<T extends KubernetesObject>(object: T, options: ClaimOptions<T>): Promise<boolean> {
  const metadata = {
    uid: object.metadata?.uid,
    ownerReferences: [makeControllerReference(options.ownerResource, options.owner)],
    ...(options.finalizers === undefined ? {} : { finalizers: options.finalizers }),
  };
  return patchUnlessGone(object, options, { metadata });
}

async function release<T extends KubernetesObject>(object: T, options: ClaimOptions<T>): Promise<void> {
  const metadata = {
    uid: object.metadata?.uid,
    ownerReferences: [{ $patch: 'delete', uid: options.owner.metadata?.uid }],
    ...(options.finalizers === undefined ? {} : { '$deleteFromPrimitiveList/finalizers': options.finalizers }),
  };
  await patchUnlessGone(object, options, { metadata });
}

/** The patch carries the uid, so that a new object of the same name answers with an error: its own event will come. */
async function patchUnlessGone<T extends KubernetesObject>(
  object: T,
  { client, resource }: ClaimOptions<T>,
  patch: unknown,
): Promise<boolean> {
  try {
    await client.patch(resource, objectKey(object), patch, { type: 'strategic' });
    return true;
  } catch (error) {
    if (isApiError(error, 'NotFound') || isApiError(error, 'Invalid') || isApiError(error, 'Conflict')) return false;
    throw error;
  }
}
