import { hostname } from 'node:os';
import {
  namespaces,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  poddisruptionbudgets,
  pods,
  replicasets,
  services,
  statefulsets,
  storageclasses,
} from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { type Clock, systemClock } from '../client/clock.ts';
import { createEventRecorder } from '../client/event-recorder.ts';
import type { SharedInformers } from '../client/informer.ts';
import type { Logger } from '../log/logger.ts';
import { watchCluster } from './cluster-watcher.ts';
import { NominatedPods } from './nominated-pods.ts';
import type { SchedulerPlugin } from './plugin.ts';
import { defaultPlugins } from './plugins.ts';
import { PodPlacer } from './schedule-pod.ts';
import { SchedulerCache } from './scheduler-cache.ts';
import type { SchedulerListers } from './scheduler-listers.ts';
import { SchedulingLoop } from './scheduling-loop.ts';

export interface SchedulerOptions {
  /** Acts as `system:kube-scheduler`. */
  readonly client: ApiClient;
  readonly informers: SharedInformers;
  readonly logger: Logger;
  /** Pods that ask for another scheduler are left to it. */
  readonly schedulerName?: string;
  readonly plugins?: readonly SchedulerPlugin[];
  readonly clock?: Clock;
  /** Breaks ties between equal nodes. */
  readonly random?: () => number;
}

export interface Scheduler {
  /** Decides no more and resolves once what was decided has been written. */
  stop(): Promise<void>;
}

/**
 * Gives each pod without a node the node that suits it best, by the rules and weights of kube-scheduler's default profile.
 * Resolves once the informers it needs have synced and pods are being scheduled. Run one per cluster: the leader's.
 */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  const { client, informers, schedulerName = 'default-scheduler', plugins = defaultPlugins } = options;
  const { clock = systemClock, random = Math.random } = options;
  const { logger } = options;
  const listers: SchedulerListers = {
    namespaces: informers.informer(namespaces),
    services: informers.informer(services),
    replicaSets: informers.informer(replicasets),
    statefulSets: informers.informer(statefulsets),
    volumes: informers.informer(persistentvolumes),
    claims: informers.informer(persistentvolumeclaims),
    storageClasses: informers.informer(storageclasses),
    disruptionBudgets: informers.informer(poddisruptionbudgets),
  };
  const nodeInformer = informers.informer(nodes);
  const podInformer = informers.informer(pods);
  const cache = new SchedulerCache();
  const nominated = new NominatedPods();
  const recorder = createEventRecorder(client, {
    component: schedulerName,
    host: `${schedulerName}-${hostname()}`,
    series: true,
    logger,
    clock,
  });
  const loop = new SchedulingLoop({
    client,
    cache,
    listers,
    nominated,
    placer: new PodPlacer({ plugins, nominated, random }),
    plugins,
    recorder,
    logger,
    clock,
    random,
  });
  await informers.start();
  const unsubscribe = watchCluster({
    schedulerName,
    cache,
    nominated,
    listers,
    queue: loop.queue,
    nodeInformer,
    podInformer,
  });
  loop.start();
  return {
    async stop() {
      unsubscribe();
      await loop.stop();
      await recorder.flush();
    },
  };
}
