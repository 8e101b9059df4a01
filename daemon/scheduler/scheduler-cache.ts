import type { Node, Pod } from '../apimachinery/types/core-v1.ts';
import { NodeInfo } from './node-info.ts';
import { type PodInfo, podInfoOf } from './pod-info.ts';
import { SelectorCounts } from './selector-counts.ts';
import { TermCounts } from './term-counts.ts';

interface Placed {
  readonly info: PodInfo;
  readonly nodeName: string;
  /** Placed by a decision that the API has not confirmed yet. */
  readonly assumed: boolean;
}

/**
 * The nodes and what runs on them, as known from the API and from decisions not yet seen there. A scheduling cycle reads
 * it without a copy, since it runs in one turn of the event loop.
 */
export class SchedulerCache {
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #pods = new Map<string, Placed>();
  /** How many pods match a selector, by node and by label of the node. */
  readonly counts: SelectorCounts;
  /** The (anti-)affinities of the pods on the nodes. */
  readonly terms: TermCounts;
  /** On how many nodes each image is. */
  readonly imageNodes: Map<string, number> = new Map();
  /** Volumes promised to claims (by uid) that are not bound yet. */
  readonly reservedVolumes: Map<string, string> = new Map();
  /** How many placed pods have each priority. */
  readonly #priorities = new Map<number, number>();
  #list: readonly NodeInfo[] | undefined;

  constructor() {
    const labelOf = (nodeName: string, key: string): string | undefined => this.#nodes.get(nodeName)?.label(key);
    this.counts = new SelectorCounts(labelOf, () => this.#pods.values());
    this.terms = new TermCounts(labelOf);
  }

  /** All known nodes, those of different zones in turn so that a search that ends early has looked at every zone. */
  get nodes(): readonly NodeInfo[] {
    this.#list ??= interleaveZones([...this.#nodes.values()].filter((info) => info.node !== undefined));
    return this.#list;
  }

  get assumedCount(): number {
    let count = 0;
    for (const { assumed } of this.#pods.values()) {
      count += assumed ? 1 : 0;
    }
    return count;
  }

  get podCount(): number {
    return this.#pods.size;
  }

  /** Whether any pod on any node has a lower priority than this. */
  hasBelow(priority: number): boolean {
    for (const known of this.#priorities.keys()) {
      if (known < priority) {
        return true;
      }
    }
    return false;
  }

  node(name: string): NodeInfo | undefined {
    const info = this.#nodes.get(name);
    return info?.node === undefined ? undefined : info;
  }

  nodeNameOf(uid: string): string | undefined {
    return this.#pods.get(uid)?.nodeName;
  }

  setNode(node: Node): void {
    const info = this.#infoOf(node.metadata.name ?? '');
    const old = info.node;
    this.#countImages(info, -1);
    info.setNode(node);
    this.#countImages(info, 1);
    if (old === undefined || !sameLabels(old, node)) {
      this.#list = undefined;
      this.#forgetLabels();
    }
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (info === undefined) {
      return;
    }
    this.#countImages(info, -1);
    info.clearNode();
    if (info.pods.size === 0) {
      this.#nodes.delete(name);
    }
    this.#list = undefined;
    this.#forgetLabels();
  }

  /** Counts the pod on the node before the API knows of it. */
  assume(pod: PodInfo, nodeName: string): void {
    this.#place(pod, nodeName, true);
  }

  /** Takes back what `assume` did; a no-op once the API has confirmed it. */
  forget(uid: string): void {
    if (this.#pods.get(uid)?.assumed === true) {
      this.#remove(uid);
    }
  }

  /** A pod that the API has on a node: added, changed, or confirmed. */
  setPod(pod: Pod): void {
    this.#place(podInfoOf(pod), pod.spec.nodeName ?? '', false);
  }

  removePod(uid: string): void {
    this.#remove(uid);
  }

  #place(info: PodInfo, nodeName: string, assumed: boolean): void {
    this.#remove(info.uid);
    const node = this.#infoOf(nodeName);
    node.addPod(info);
    this.#pods.set(info.uid, { info, nodeName, assumed });
    this.counts.podMoved(info, nodeName, 1);
    this.terms.podMoved(info, nodeName, 1);
    this.#priorities.set(info.priority, (this.#priorities.get(info.priority) ?? 0) + 1);
  }

  #remove(uid: string): void {
    const placed = this.#pods.get(uid);
    if (placed === undefined) {
      return;
    }
    this.#pods.delete(uid);
    this.counts.podMoved(placed.info, placed.nodeName, -1);
    this.terms.podMoved(placed.info, placed.nodeName, -1);
    const left = (this.#priorities.get(placed.info.priority) ?? 0) - 1;
    if (left > 0) {
      this.#priorities.set(placed.info.priority, left);
    } else {
      this.#priorities.delete(placed.info.priority);
    }
    const node = this.#nodes.get(placed.nodeName);
    if (node !== undefined) {
      node.removePod(uid);
      if (node.node === undefined && node.pods.size === 0) {
        this.#nodes.delete(placed.nodeName);
      }
    }
  }

  #forgetLabels(): void {
    this.counts.forgetLabels();
    this.terms.forgetLabels();
  }

  #infoOf(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (info === undefined) {
      info = new NodeInfo(name);
      this.#nodes.set(name, info);
    }
    return info;
  }

  #countImages(info: NodeInfo, by: 1 | -1): void {
    for (const name of info.imageSizes.keys()) {
      const count = (this.imageNodes.get(name) ?? 0) + by;
      if (count > 0) {
        this.imageNodes.set(name, count);
      } else {
        this.imageNodes.delete(name);
      }
    }
  }
}

function sameLabels(a: Node, b: Node): boolean {
  const before = a.metadata.labels ?? {};
  const after = b.metadata.labels ?? {};
  const keys = Object.keys(before);
  return keys.length === Object.keys(after).length && keys.every((key) => before[key] === after[key]);
}

function zoneOf(info: NodeInfo): string {
  return `${info.label('topology.kubernetes.io/region') ?? ''}:${info.label('topology.kubernetes.io/zone') ?? ''}`;
}

function interleaveZones(nodes: readonly NodeInfo[]): readonly NodeInfo[] {
  const zones = new Map<string, NodeInfo[]>();
  for (const node of nodes) {
    const zone = zoneOf(node);
    const members = zones.get(zone);
    if (members === undefined) {
      zones.set(zone, [node]);
    } else {
      members.push(node);
    }
  }
  if (zones.size <= 1) {
    return nodes;
  }
  const result: NodeInfo[] = [];
  for (let i = 0; result.length < nodes.length; i++) {
    for (const members of zones.values()) {
      const node = members[i];
      if (node !== undefined) {
        result.push(node);
      }
    }
  }
  return result;
}
