import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { OwnerReference } from '../../apimachinery/types/meta-v1.ts';

export const orphanFinalizer = 'orphan';
export const foregroundFinalizer = 'foregroundDeletion';

/** An object as far as ownership goes. Kept for every object of the cluster, so it holds no more than that. */
export interface GraphNode {
  readonly uid: string;
  /** Undefined while all that is known of it is that others refer to it, and their kind is not served. */
  resource: Resource | undefined;
  namespace: string | undefined;
  name: string;
  owners: readonly OwnerReference[];
  dependents: Set<GraphNode> | undefined;
  beingDeleted: boolean;
  /** Being deleted in the foreground: goes when the dependents that block it have gone. */
  deletingDependents: boolean;
  /** Being deleted, and waits for its dependents to be let go. */
  orphaning: boolean;
  /** Referred to by others, not seen itself (yet). */
  virtual: boolean;
}

const noOwners: readonly OwnerReference[] = [];

/** What a change of the graph calls for: nodes to be looked at for deletion, and owners whose dependents are to be let go. */
export interface GraphWork {
  readonly toDelete: Set<string>;
  readonly toOrphan: Set<string>;
}

export function blocks(node: GraphNode, owner: GraphNode): boolean {
  return node.owners.some((reference) => reference.uid === owner.uid && reference.blockOwnerDeletion === true);
}

/** Who owns whom in the whole cluster, as far as it has been seen. */
export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #resolve: (reference: OwnerReference) => Resource | undefined;

  /** `resolve` finds the resource a reference points into. */
  constructor(resolve: (reference: OwnerReference) => Resource | undefined) {
    this.#resolve = resolve;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  /** An object was seen, for the first time or changed. */
  upsert(resource: Resource, object: KubernetesObject): GraphWork {
    const work: GraphWork = { toDelete: new Set(), toOrphan: new Set() };
    const metadata = object.metadata ?? {};
    const uid = metadata.uid ?? '';
    let node = this.#nodes.get(uid);
    if (node === undefined) {
      node = newNode(uid, resource, metadata.namespace, metadata.name ?? '', false);
      this.#nodes.set(uid, node);
    }
    node.virtual = false;
    node.resource = resource;
    node.namespace = metadata.namespace;
    node.name = metadata.name ?? '';
    this.#setOwners(node, metadata.ownerReferences ?? noOwners, work);

    const beingDeleted = metadata.deletionTimestamp !== undefined;
    const finalizers = metadata.finalizers ?? [];
    const orphaning = beingDeleted && finalizers.includes(orphanFinalizer);
    const deletingDependents = beingDeleted && finalizers.includes(foregroundFinalizer);
    if (orphaning && !node.orphaning) work.toOrphan.add(uid);
    if (deletingDependents && !node.deletingDependents) {
      work.toDelete.add(uid);
      for (const dependent of node.dependents ?? []) work.toDelete.add(dependent.uid);
    }
    node.beingDeleted = beingDeleted;
    node.orphaning = orphaning;
    node.deletingDependents = deletingDependents;
    return work;
  }

  /** An object is gone: seen by a watch, or found out by asking for it. */
  remove(uid: string): GraphWork {
    const work: GraphWork = { toDelete: new Set(), toOrphan: new Set() };
    const node = this.#nodes.get(uid);
    if (node === undefined) return work;
    this.#nodes.delete(uid);
    this.#setOwners(node, noOwners, work);
    for (const dependent of node.dependents ?? []) work.toDelete.add(dependent.uid);
    return work;
  }

  #setOwners(node: GraphNode, owners: readonly OwnerReference[], work: GraphWork): void {
    const before = node.owners;
    if (before.length === 0 && owners.length === 0) return;
    node.owners = owners.length === 0 ? noOwners : owners;
    for (const reference of before) {
      const kept = owners.find((candidate) => candidate.uid === reference.uid);
      const owner = this.#nodes.get(reference.uid);
      if (owner === undefined) continue;
      if (kept === undefined) {
        owner.dependents?.delete(node);
        if (owner.virtual && owner.dependents?.size === 0) this.#nodes.delete(owner.uid);
      }
      const unblocked = reference.blockOwnerDeletion === true && kept?.blockOwnerDeletion !== true;
      if (owner.deletingDependents && (kept === undefined || unblocked)) work.toDelete.add(owner.uid);
    }
    for (const reference of owners) {
      let owner = this.#nodes.get(reference.uid);
      if (owner === undefined) {
        const resource = this.#resolve(reference);
        const namespace = resource?.namespaced === true ? node.namespace : undefined;
        owner = newNode(reference.uid, resource, namespace, reference.name, true);
        this.#nodes.set(reference.uid, owner);
        // Not seen yet, or gone: only asking for it tells.
        work.toDelete.add(reference.uid);
      }
      owner.dependents ??= new Set();
      if (!owner.dependents.has(node)) {
        owner.dependents.add(node);
        if (owner.deletingDependents) work.toDelete.add(node.uid);
      }
    }
  }
}

function newNode(
  uid: string,
  resource: Resource | undefined,
  namespace: string | undefined,
  name: string,
  virtual: boolean,
): GraphNode {
  return {
    uid,
    resource,
    namespace,
    name,
    owners: noOwners,
    dependents: undefined,
    beingDeleted: false,
    deletingDependents: false,
    orphaning: false,
    virtual,
  };
}
