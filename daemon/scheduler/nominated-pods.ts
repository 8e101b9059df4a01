import type { PodInfo } from './pod-info.ts';

/** Pods for which room is being made, and on which node: not there yet, but others must not take the room. */
export class NominatedPods {
  readonly #byPod = new Map<string, string>();
  readonly #byNode = new Map<string, Map<string, PodInfo>>();

  set(pod: PodInfo, nodeName: string): void {
    this.delete(pod.uid);
    this.#byPod.set(pod.uid, nodeName);
    const pods = this.#byNode.get(nodeName);
    if (pods === undefined) {
      this.#byNode.set(nodeName, new Map([[pod.uid, pod]]));
    } else {
      pods.set(pod.uid, pod);
    }
  }

  delete(uid: string): void {
    const nodeName = this.#byPod.get(uid);
    if (nodeName === undefined) {
      return;
    }
    this.#byPod.delete(uid);
    const pods = this.#byNode.get(nodeName);
    pods?.delete(uid);
    if (pods?.size === 0) {
      this.#byNode.delete(nodeName);
    }
  }

  nodeOf(uid: string): string | undefined {
    return this.#byPod.get(uid);
  }

  on(nodeName: string): readonly PodInfo[] {
    const pods = this.#byNode.get(nodeName);
    return pods === undefined ? none : [...pods.values()];
  }
}

const none: readonly PodInfo[] = [];
