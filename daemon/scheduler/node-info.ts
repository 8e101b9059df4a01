import { unitsOf } from '../apimachinery/quantity.ts';
import type { Node } from '../apimachinery/types/core-v1.ts';
import { type HostPort, type PodInfo, type Resources, resourcesOf } from './pod-info.ts';

const noLabels: Readonly<Record<string, string>> = Object.freeze({});

/** A node and what the pods on it take, kept up to date pod by pod. */
export class NodeInfo {
  readonly name: string;
  /** Absent while pods are known on a node that itself is not (yet, or any more). */
  node: Node | undefined;
  allocatable: Resources = { milliCpu: 0, memory: 0, ephemeralStorage: 0 };
  allowedPods = 0;
  readonly requested: Resources;
  nonZeroMilliCpu = 0;
  nonZeroMemory = 0;
  readonly pods: Map<string, PodInfo>;
  /** Uses of each host port. */
  readonly ports: Map<string, number>;
  /** Bytes by image name. */
  imageSizes: ReadonlyMap<string, number> = new Map();
  #labels: Readonly<Record<string, string>> = noLabels;

  constructor(name: string, from?: NodeInfo) {
    this.name = name;
    this.pods = new Map(from?.pods);
    this.ports = new Map(from?.ports);
    this.requested = { milliCpu: 0, memory: 0, ephemeralStorage: 0 };
    if (from !== undefined) {
      Object.assign(this.requested, from.requested);
      if (from.requested.scalar !== undefined) {
        this.requested.scalar = new Map(from.requested.scalar);
      }
      this.node = from.node;
      this.allocatable = from.allocatable;
      this.allowedPods = from.allowedPods;
      this.nonZeroMilliCpu = from.nonZeroMilliCpu;
      this.nonZeroMemory = from.nonZeroMemory;
      this.imageSizes = from.imageSizes;
      this.#labels = from.#labels;
    }
  }

  /** A copy whose pods can be changed for a what-if. */
  clone(): NodeInfo {
    return new NodeInfo(this.name, this);
  }

  setNode(node: Node): void {
    this.node = node;
    this.#labels = node.metadata.labels ?? noLabels;
    this.allocatable = resourcesOf(node.status?.allocatable);
    this.allowedPods = unitsOf(node.status?.allocatable?.['pods']);
    const sizes = new Map<string, number>();
    for (const image of node.status?.images ?? []) {
      for (const name of image.names ?? []) {
        sizes.set(name, image.sizeBytes ?? 0);
      }
    }
    this.imageSizes = sizes;
  }

  /** The node is gone; pods that were on it may be known for a while yet. */
  clearNode(): void {
    this.node = undefined;
    this.#labels = noLabels;
    this.imageSizes = new Map();
  }

  label(key: string): string | undefined {
    return this.#labels[key];
  }

  addPod(pod: PodInfo): void {
    this.#count(pod, 1);
    this.pods.set(pod.uid, pod);
  }

  /** Removes the pod of that uid; what it took is what was counted when it was added. */
  removePod(uid: string): PodInfo | undefined {
    const pod = this.pods.get(uid);
    if (pod !== undefined) {
      this.#count(pod, -1);
      this.pods.delete(uid);
    }
    return pod;
  }

  /** True when another pod holds the port on an address that overlaps: 0.0.0.0 overlaps with all. */
  portTaken({ ip, protocol, port }: HostPort): boolean {
    if (this.ports.size === 0) {
      return false;
    }
    if (ip === '0.0.0.0') {
      return this.ports.has(portKey('*', protocol, port));
    }
    return this.ports.has(portKey(ip, protocol, port)) || this.ports.has(portKey('0.0.0.0', protocol, port));
  }

  #count(pod: PodInfo, sign: 1 | -1): void {
    const { requests } = pod;
    this.requested.milliCpu += sign * requests.milliCpu;
    this.requested.memory += sign * requests.memory;
    this.requested.ephemeralStorage += sign * requests.ephemeralStorage;
    this.nonZeroMilliCpu += sign * pod.nonZeroMilliCpu;
    this.nonZeroMemory += sign * pod.nonZeroMemory;
    if (requests.scalar !== undefined) {
      this.requested.scalar ??= new Map();
      for (const [name, amount] of requests.scalar) {
        this.requested.scalar.set(name, (this.requested.scalar.get(name) ?? 0) + sign * amount);
      }
    }
    for (const { ip, protocol, port } of pod.hostPorts) {
      for (const key of [portKey(ip, protocol, port), portKey('*', protocol, port)]) {
        const uses = (this.ports.get(key) ?? 0) + sign;
        if (uses > 0) {
          this.ports.set(key, uses);
        } else {
          this.ports.delete(key);
        }
      }
    }
  }
}

function portKey(ip: string, protocol: string, port: number): string {
  return `${ip}/${protocol}/${port}`;
}
