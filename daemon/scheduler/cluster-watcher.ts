import { isPodTerminal } from '../apimachinery/conditions.ts';
import type { Node, Pod } from '../apimachinery/types/core-v1.ts';
import type { Informer } from '../client/informer.ts';
import type { NominatedPods } from './nominated-pods.ts';
import { podInfoOf } from './pod-info.ts';
import type { SchedulerCache } from './scheduler-cache.ts';
import type { SchedulerListers } from './scheduler-listers.ts';
import type { SchedulingQueue } from './scheduling-queue.ts';

export interface ClusterWatcherOptions {
  readonly schedulerName: string;
  readonly cache: SchedulerCache;
  readonly nominated: NominatedPods;
  readonly listers: SchedulerListers;
  readonly queue: SchedulingQueue;
  readonly nodeInformer: Informer<Node>;
  readonly podInformer: Informer<Pod>;
}

/** Feeds the cache and the queue with what the informers see. Returns the function that ends it. */
export function watchCluster(options: ClusterWatcherOptions): () => void {
  const { cache, queue, nodeInformer, podInformer, listers } = options;
  const volumeChange = {
    onAdd: () => queue.handle({ kind: 'VolumeChange' }),
    onUpdate: () => queue.handle({ kind: 'VolumeChange' }),
  };
  const namespaceChange = { onAdd: () => queue.handle({ kind: 'NamespaceChange' }) };
  const unsubscribe = [
    nodeInformer.addHandler({
      onAdd(node) {
        cache.setNode(node);
        queue.handle({ kind: 'NodeAdd', node });
      },
      onUpdate(node, old) {
        cache.setNode(node);
        if (schedulesOtherwise(node, old)) {
          queue.handle({ kind: 'NodeUpdate', node, old });
        }
      },
      onDelete: (node) => cache.removeNode(node.metadata.name ?? ''),
    }),
    // Placed pods first: a pod that waits is tried against what is really there.
    podInformer.addHandler(podHandler(options)),
    listers.claims.addHandler(volumeChange),
    listers.volumes.addHandler({
      ...volumeChange,
      onUpdate(volume) {
        if (volume.spec?.claimRef !== undefined) {
          cache.reservedVolumes.delete(volume.metadata.name ?? '');
        }
        queue.handle({ kind: 'VolumeChange' });
      },
    }),
    listers.storageClasses.addHandler(volumeChange),
    listers.namespaces.addHandler(namespaceChange),
  ];
  return () => {
    for (const remove of unsubscribe) {
      remove();
    }
  };
}

function podHandler({ schedulerName, cache, nominated, queue }: ClusterWatcherOptions) {
  const placed = (pod: Pod): boolean => Boolean(pod.spec.nodeName) && !isPodTerminal(pod);
  const waiting = (pod: Pod): boolean =>
    !pod.spec.nodeName && !isPodTerminal(pod) && (pod.spec.schedulerName ?? 'default-scheduler') === schedulerName;
  const drop = (pod: Pod): void => {
    const { uid } = podInfoOf(pod);
    queue.delete(uid);
    nominated.delete(uid);
    if (cache.nodeNameOf(uid) !== undefined) {
      cache.removePod(uid);
      queue.handle({ kind: 'AssignedPodDelete', pod });
    }
  };
  const arrive = (pod: Pod): void => {
    const info = podInfoOf(pod);
    queue.delete(info.uid);
    nominated.delete(info.uid);
    cache.setPod(pod);
    queue.handle({ kind: 'AssignedPodAdd', pod });
  };
  const wait = (pod: Pod, old: Pod | undefined): void => {
    const info = podInfoOf(pod);
    if (cache.nodeNameOf(info.uid) !== undefined && !queue.has(info.uid)) {
      // Already bound; this version of it is merely older.
      return;
    }
    if (pod.metadata.deletionTimestamp !== undefined) {
      queue.delete(info.uid);
      nominated.delete(info.uid);
      return;
    }
    const nominee = pod.status?.nominatedNodeName;
    if (nominee && nominated.nodeOf(info.uid) === undefined) {
      nominated.set(info, nominee);
    } else if (!nominee && old?.status?.nominatedNodeName) {
      nominated.delete(info.uid);
    }
    if (old === undefined) {
      queue.add(pod);
    } else {
      queue.update(pod, old);
    }
  };
  return {
    onAdd(pod: Pod): void {
      if (placed(pod)) {
        arrive(pod);
      } else if (waiting(pod)) {
        wait(pod, undefined);
      }
    },
    onUpdate(pod: Pod, old: Pod): void {
      if (placed(pod)) {
        if (placed(old)) {
          cache.setPod(pod);
          if (frees(pod, old)) {
            queue.handle({ kind: 'AssignedPodUpdate', pod, old });
          }
        } else {
          arrive(pod);
        }
      } else if (waiting(pod)) {
        wait(pod, old);
      } else {
        drop(pod);
      }
    },
    onDelete: drop,
  };
}

/** Whether a change of a placed pod can matter to others: its labels, its requests, or that it is leaving. */
function frees(pod: Pod, old: Pod): boolean {
  const now = podInfoOf(pod).requests;
  const before = podInfoOf(old).requests;
  return (
    now.milliCpu !== before.milliCpu ||
    now.memory !== before.memory ||
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    JSON.stringify(pod.metadata.labels) !== JSON.stringify(old.metadata.labels)
  );
}

/** Heartbeats change nodes all the time; these are the changes that scheduling knows of. */
function schedulesOtherwise(node: Node, old: Node): boolean {
  const view = ({ metadata, spec, status }: Node): string =>
    JSON.stringify([metadata.labels, spec?.taints, spec?.unschedulable, status?.allocatable]);
  return view(node) !== view(old);
}
