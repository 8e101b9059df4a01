import { isApiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { OwnerReference } from '../../apimachinery/types/meta-v1.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { isSecondEventsGroup } from '../served-resources.ts';
import { refersTo } from '../workload/owner-reference.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { AbsentOwners } from './absent-owners.ts';
import { MetadataFeed } from './metadata-feed.ts';
import {
  blocks,
  foregroundFinalizer,
  type GraphNode,
  type GraphWork,
  OwnerGraph,
  orphanFinalizer,
} from './owner-graph.ts';

const resyncMs = 30_000;
const resyncKey = 'resync';

/** Deletes what has lost its owners, lets go of what is to be orphaned, and ends foreground deletions. */
export function startGarbageCollector(context: ControllerContext, workers: number): void {
  new GarbageCollector(context, workers);
}

/** References of an object, by what holds for the owner they name. */
interface ClassifiedReferences {
  readonly solid: OwnerReference[];
  readonly dangling: OwnerReference[];
  /** The owner waits for this object to go. */
  readonly waiting: OwnerReference[];
}

class GarbageCollector {
  readonly #context: ControllerContext;
  readonly #graph: OwnerGraph;
  readonly #absent = new AbsentOwners();
  readonly #feeds = new Map<string, MetadataFeed>();
  readonly #toDelete: WorkQueue;
  readonly #toOrphan: WorkQueue;
  #stopped = false;

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#graph = new OwnerGraph((reference) => this.#resourceOf(reference));
    this.#toDelete = context.reconciler('garbage_collector_attempt_to_delete', workers, (uid) => this.#attempt(uid));
    this.#toOrphan = context.reconciler('garbage_collector_attempt_to_orphan', workers, (uid) => this.#orphan(uid));
    const resync = context.reconciler('garbage_collector_resync', 1, async () => {
      resync.addAfter(resyncKey, resyncMs);
      this.#followResources();
    });
    resync.add(resyncKey);
    context.onStop(() => {
      this.#stopped = true;
      for (const feed of this.#feeds.values()) void feed.stop();
    });
  }

  /** Follows every resource served now: custom ones come and go. */
  #followResources(): void {
    if (this.#stopped) return;
    const served = new Map<string, Resource>();
    for (const resource of this.#context.settings.resources()) {
      if (isIgnored(resource) || !resource.verbs.includes('delete') || !resource.verbs.includes('list')) continue;
      served.set(`${resource.group}/${resource.resource}`, resource);
    }
    for (const [name, feed] of this.#feeds) {
      if (served.has(name)) continue;
      this.#feeds.delete(name);
      void feed.stop();
    }
    const { client, clock, logger } = this.#context;
    const handler = {
      onSeen: (resource: Resource, object: KubernetesObject) => this.#queue(this.#graph.upsert(resource, object)),
      onGone: (_: Resource, uid: string) => this.#removed(uid),
    };
    for (const [name, resource] of served) {
      if (!this.#feeds.has(name)) this.#feeds.set(name, new MetadataFeed(client, resource, handler, clock, logger));
    }
  }

  async #allListed(): Promise<void> {
    await Promise.all([...this.#feeds.values()].map((feed) => feed.listed));
  }

  #queue({ toDelete, toOrphan }: GraphWork): void {
    for (const uid of toDelete) this.#toDelete.add(uid);
    for (const uid of toOrphan) this.#toOrphan.add(uid);
  }

  #removed(uid: string): void {
    if ((this.#graph.get(uid)?.dependents?.size ?? 0) > 0) this.#absent.add(uid);
    this.#queue(this.#graph.remove(uid));
  }

  #resourceOf(reference: OwnerReference): Resource | undefined {
    return this.#context.settings.resources().find((resource) => refersTo(reference, resource));
  }

  async #attempt(uid: string): Promise<void> {
    // The whole graph must have been seen once before a foreground deletion can be known to be complete.
    await this.#allListed();
    const node = this.#graph.get(uid);
    if (node === undefined || (node.beingDeleted && !node.deletingDependents)) return;
    const latest = await this.#fetch(node);
    if (latest === undefined) {
      this.#removed(uid);
      return;
    }
    if (node.virtual) {
      // It exists: the feed of its resource will show it.
      return;
    }
    if (node.deletingDependents) return this.#finishForeground(node);
    await this.#deleteIfAbandoned(node, latest);
  }

  /** The live object; undefined when it is gone, or is another one of the same name. */
  async #fetch(node: GraphNode): Promise<KubernetesObject | undefined> {
    if (node.resource === undefined) throw new Error(`owner ${node.name} is of a kind that is not served`);
    try {
      const object = await this.#context.client.get(node.resource, keyFor(node));
      return object.metadata?.uid === node.uid ? object : undefined;
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #finishForeground(node: GraphNode): Promise<void> {
    const blocking = [...(node.dependents ?? [])].filter((dependent) => blocks(dependent, node));
    if (blocking.length === 0) return this.#removeFinalizer(node, foregroundFinalizer);
    for (const dependent of blocking) if (!dependent.deletingDependents) this.#toDelete.add(dependent.uid);
  }

  async #deleteIfAbandoned(node: GraphNode, latest: KubernetesObject): Promise<void> {
    const references = latest.metadata?.ownerReferences ?? [];
    if (references.length === 0) return;
    const { solid, dangling, waiting } = await this.#classify(node, references);
    if (solid.length > 0) {
      const dropped = new Set([...dangling, ...waiting].map((reference) => reference.uid));
      if (dropped.size > 0) await this.#dropReferences(node, latest, dropped);
      return;
    }
    if (dangling.length + waiting.length === 0) return;
    if (waiting.length > 0 && (node.dependents?.size ?? 0) > 0) {
      // Dependents that are themselves waiting would wait for this one for ever in a circle: stop blocking the owner.
      if ([...(node.dependents ?? [])].some((dependent) => dependent.deletingDependents)) {
        await this.#unblockOwners(node, latest);
      }
      return this.#delete(node, 'Foreground');
    }
    const finalizers = latest.metadata?.finalizers ?? [];
    const policy = finalizers.includes(orphanFinalizer)
      ? 'Orphan'
      : finalizers.includes(foregroundFinalizer)
        ? 'Foreground'
        : 'Background';
    await this.#delete(node, policy);
  }

  async #classify(node: GraphNode, references: readonly OwnerReference[]): Promise<ClassifiedReferences> {
    const classes: ClassifiedReferences = { solid: [], dangling: [], waiting: [] };
    for (const reference of references) {
      const owner = await this.#fetchOwner(node, reference);
      if (owner === undefined) {
        classes.dangling.push(reference);
      } else if (isTerminating(owner) && (owner.metadata?.finalizers ?? []).includes(foregroundFinalizer)) {
        classes.waiting.push(reference);
      } else {
        classes.solid.push(reference);
      }
    }
    return classes;
  }

  async #fetchOwner(node: GraphNode, reference: OwnerReference): Promise<KubernetesObject | undefined> {
    const resource = this.#resourceOf(reference);
    if (resource === undefined) {
      throw new Error(
        `owner ${reference.apiVersion} ${reference.kind} ${reference.name} is of a kind that is not served`,
      );
    }
    if (resource.namespaced && node.namespace === undefined) {
      // Never valid, so it says nothing: such an object is left alone.
      return { metadata: {} };
    }
    if (this.#absent.has(reference.uid)) return undefined;
    const namespace = resource.namespaced ? node.namespace : undefined;
    try {
      const key = { ...(namespace === undefined ? {} : { namespace }), name: reference.name };
      const owner = await this.#context.client.get(resource, key);
      if (owner.metadata?.uid === reference.uid) return owner;
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
    this.#absent.add(reference.uid);
    return undefined;
  }

  async #delete(node: GraphNode, propagationPolicy: 'Orphan' | 'Foreground' | 'Background'): Promise<void> {
    if (node.resource === undefined) return;
    this.#context.logger.debug(
      { resource: node.resource.resource, namespace: node.namespace, name: node.name },
      'deleting',
    );
    try {
      await this.#context.client.delete(node.resource, keyFor(node), {
        propagationPolicy,
        preconditions: { uid: node.uid },
      });
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error;
    }
  }

  async #orphan(uid: string): Promise<void> {
    await this.#allListed();
    const owner = this.#graph.get(uid);
    if (owner === undefined) return;
    for (const dependent of [...(owner.dependents ?? [])]) {
      const latest = await this.#fetch(dependent);
      if (latest !== undefined) await this.#dropReferences(dependent, latest, new Set([uid]));
    }
    await this.#removeFinalizer(owner, orphanFinalizer);
  }

  async #dropReferences(node: GraphNode, latest: KubernetesObject, uids: ReadonlySet<string>): Promise<void> {
    const before = latest.metadata?.ownerReferences ?? [];
    const ownerReferences = before.filter((reference) => !uids.has(reference.uid));
    if (ownerReferences.length !== before.length) await this.#patch(node, latest, { ownerReferences });
  }

  async #unblockOwners(node: GraphNode, latest: KubernetesObject): Promise<void> {
    const ownerReferences = (latest.metadata?.ownerReferences ?? []).map((reference) =>
      reference.blockOwnerDeletion === true ? { ...reference, blockOwnerDeletion: false } : reference,
    );
    await this.#patch(node, latest, { ownerReferences });
  }

  async #removeFinalizer(node: GraphNode, finalizer: string): Promise<void> {
    const latest = await this.#fetch(node);
    if (latest === undefined) return;
    const before = latest.metadata?.finalizers ?? [];
    const finalizers = before.filter((entry) => entry !== finalizer);
    if (finalizers.length !== before.length) await this.#patch(node, latest, { finalizers });
  }

  /** Carries the version it was reckoned from; a conflict is an error here, so the queue tries again. */
  async #patch(node: GraphNode, latest: KubernetesObject, metadata: object): Promise<void> {
    if (node.resource === undefined) return;
    const resourceVersion = latest.metadata?.resourceVersion;
    try {
      const patch = { metadata: { ...metadata, resourceVersion, uid: node.uid } };
      await this.#context.client.patch(node.resource, keyFor(node), patch, { type: 'merge' });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  }
}

/** Events own nothing, are owned by nobody, and are many. */
function isIgnored(resource: Resource): boolean {
  return isSecondEventsGroup(resource) || (resource.group === '' && resource.resource === 'events');
}

function keyFor(node: GraphNode): { namespace?: string; name: string } {
  return { ...(node.namespace === undefined ? {} : { namespace: node.namespace }), name: node.name };
}
