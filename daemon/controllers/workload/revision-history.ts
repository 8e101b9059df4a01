import { isApiError } from '../../apimachinery/api-error.ts';
import { computeHash, stableStringify } from '../../apimachinery/hash.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { controllerOf, makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { ControllerRevision } from '../../apimachinery/types/apps-v1.ts';
import type { PodTemplateSpec } from '../../apimachinery/types/core-v1.ts';
import type { LabelSelector } from '../../apimachinery/types/meta-v1.ts';
import { controllerrevisions } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { claimObjects } from './claim.ts';
import { claimCandidates, indexByController } from './pod-index.ts';

/** A StatefulSet or DaemonSet, as far as its history is concerned. */
export interface HistoryOwner extends KubernetesObject {
  readonly metadata: NonNullable<KubernetesObject['metadata']>;
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: PodTemplateSpec;
    readonly revisionHistoryLimit?: number;
  };
  readonly status?: { readonly collisionCount?: number };
}

/** The patch that brings an owner's template back: what `kubectl rollout undo` applies. */
export function templatePatch(template: PodTemplateSpec): Record<string, unknown> {
  return { spec: { template: { ...structuredClone(template), $patch: 'replace' } } };
}

/** The template a revision holds. */
export function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const spec = (revision.data as { spec?: { template?: PodTemplateSpec & { $patch?: string } } } | undefined)?.spec;
  const { $patch: _patch, ...template } = spec?.template ?? { spec: { containers: [] } };
  return template as PodTemplateSpec;
}

/** The templates an owner has had, one ControllerRevision each, numbered in the order of their last use. */
export class RevisionHistory {
  readonly #context: ControllerContext;
  readonly #ownerResource: Resource;
  readonly #hashLabel: string;
  readonly #informer: Informer<ControllerRevision>;

  /** `hashLabel` names the label of a revision that holds the hash of its template. */
  constructor(context: ControllerContext, ownerResource: Resource, hashLabel: string) {
    this.#context = context;
    this.#ownerResource = ownerResource;
    this.#hashLabel = hashLabel;
    this.#informer = context.informer(controllerrevisions);
    indexByController(this.#informer);
  }

  hashOf(revision: ControllerRevision): string {
    return revision.metadata.labels?.[this.#hashLabel] ?? '';
  }

  /** Oldest first; orphans that the owner selects are adopted. */
  async list(owner: HistoryOwner): Promise<ControllerRevision[]> {
    const revisions = await claimObjects(claimCandidates(this.#informer, owner), {
      client: this.#context.client,
      resource: controllerrevisions,
      owner,
      ownerResource: this.#ownerResource,
      matches: (revision) => labelSelectorMatcher(owner.spec.selector).matches(revision.metadata.labels),
    });
    return revisions.sort(compareRevisions);
  }

  /**
   * The revision of the owner's template as it is now: found and, if it was an older one, numbered anew, or made. A name
   * taken by another template is answered by `collided`, which has to count one more collision.
   */
  async current(
    owner: HistoryOwner,
    revisions: readonly ControllerRevision[],
    collided: (count: number) => Promise<void>,
  ): Promise<ControllerRevision> {
    const data = templatePatch(owner.spec.template);
    const text = stableStringify(data);
    const next = (revisions.at(-1)?.revision ?? 0) + 1;
    const equal = revisions.filter((revision) => stableStringify(revision.data) === text).at(-1);
    if (equal !== undefined) {
      if (equal === revisions.at(-1)) return equal;
      return this.#context.client.update(controllerrevisions, { ...equal, revision: next });
    }
    const collisionCount = owner.status?.collisionCount ?? 0;
    const hash = computeHash(data, collisionCount);
    const { name, namespace } = owner.metadata;
    const wanted: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: `${name}-${hash}`,
        ...(namespace === undefined ? {} : { namespace }),
        labels: { ...owner.spec.template.metadata?.labels, [this.#hashLabel]: hash },
        ...(owner.metadata.annotations === undefined ? {} : { annotations: owner.metadata.annotations }),
        ownerReferences: [makeControllerReference(this.#ownerResource, owner)],
      },
      data,
      revision: next,
    };
    try {
      return await this.#context.client.create(controllerrevisions, wanted);
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error;
      const existing = await this.#context.client.get(controllerrevisions, objectKey(wanted));
      const ours = controllerOf(existing)?.uid === owner.metadata.uid;
      if (ours && stableStringify(existing.data) === text) return existing;
      await collided(collisionCount + 1);
      throw error;
    }
  }

  /** Deletes the oldest beyond `revisionHistoryLimit` that are not in use. */
  async truncate(
    owner: HistoryOwner,
    revisions: readonly ControllerRevision[],
    inUse: ReadonlySet<string>,
  ): Promise<void> {
    const idle = revisions.filter((revision) => !inUse.has(revision.metadata.name ?? ''));
    const surplus = idle.length - (owner.spec.revisionHistoryLimit ?? 10);
    for (const revision of idle.slice(0, Math.max(0, surplus))) {
      try {
        await this.#context.client.delete(controllerrevisions, objectKey(revision));
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error;
      }
    }
  }
}

function compareRevisions(a: ControllerRevision, b: ControllerRevision): number {
  const age = (revision: ControllerRevision): string =>
    `${revision.metadata.creationTimestamp} ${revision.metadata.name}`;
  return a.revision - b.revision || (age(a) < age(b) ? -1 : 1);
}
