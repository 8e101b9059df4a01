import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pod, Taint } from '../apimachinery/types/core-v1.ts';
import { pods, services } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { createEventRecorder } from '../client/event-recorder.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import type { Logger } from '../log/logger.ts';
import { kubernetesVersion } from '../version.ts';
import { BackOff } from './back-off.ts';
import { hasCgroup2, usesSystemdCgroups } from './containerd-config.ts';
import type { KubeletContext } from './context.ts';
import { connectRuntime } from './cri.ts';
import { createKubeletEvents } from './events.ts';
import { Housekeeping } from './housekeeping.ts';
import { createImageManager } from './images/image-manager.ts';
import { imagesDirectory, importLocalImages, localImages } from './images/local-images.ts';
import { hostResources, systemInfo } from './node/host-facts.ts';
import { NodeHealth } from './node/node-health.ts';
import { NodeLease } from './node/node-lease.ts';
import { NodeRegistration } from './node/node-registration.ts';
import { PodLifecycleEvents } from './pods/lifecycle-events.ts';
import { PodWorkers } from './pods/pod-workers.ts';
import { ProbeManager } from './probes/probe-manager.ts';
import type { ContainerRuntime, Image } from './runtime.ts';
import { type ServingOptions, startKubeletServer } from './server/server.ts';
import { StatusManager } from './status/status-manager.ts';
import { rememberLocalPaths } from './volumes/local-path-reclaim.ts';
import { createObjectSources } from './volumes/object-sources.ts';
import { TokenManager } from './volumes/service-account-token.ts';
import { createVolumeManager } from './volumes/volume-manager.ts';

const CRASH_BACK_OFF_MS = { initial: 10_000, max: 300_000 };
const DEFAULT_MAX_PODS = 110;
/** How long a kubelet that stops waits for its last events to be written. */
const FLUSH_MS = 1000;

export interface KubeletOptions {
  /** Acts as `system:node:<nodeName>`. */
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly nodeIp: string;
  /** The kubelet's own state is below `kubelet/` in it, and pods' logs in `logs/pods/`. */
  readonly dataDir: string;
  /** `unix:///path` of a CRI v1 runtime. */
  readonly runtimeEndpoint: string;
  /** Instead of connecting to `runtimeEndpoint`: for tests and scale runs. */
  readonly runtime?: ContainerRuntime;
  /** Absent: no HTTPS server. */
  readonly serving?: ServingOptions;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly logger: Logger;
  /** Default: `<dataDir>/logs/pods`. */
  readonly podLogsDir?: string;
  readonly nodeLabels?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
  readonly maxPods?: number;
  /** Import the images that ship with Balsa when they are missing (default: when the runtime is containerd). */
  readonly importImages?: boolean;
}

export interface Kubelet {
  /** Port of the HTTPS server. */
  readonly port: number;
  /** Stops looking after pods; they run on. */
  stop(): Promise<void>;
}

/**
 * Runs the kubelet: registers the node, keeps its status and lease, and brings the pods bound to it to life.
 * Resolves when the node is registered and the pods that the runtime already has are known. Rejects when the runtime does
 * not answer, or the server's port is taken.
 */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { client, nodeName, nodeIp, logger } = options;
  const runtime = options.runtime ?? connectRuntime(options.runtimeEndpoint);
  const version = await runtime.version();
  const paths = {
    root: join(options.dataDir, 'kubelet'),
    podLogs: options.podLogsDir ?? join(options.dataDir, 'logs/pods'),
  };
  if (options.importImages ?? (options.runtime === undefined && version.runtimeName === 'containerd'))
    await importLocalImages({
      runtime,
      socket: options.runtimeEndpoint.replace(/^unix:\/\//, ''),
      images: localImages(imagesDirectory()),
      logger,
    });

  const recorder = createEventRecorder(client, { component: 'kubelet', host: nodeName, logger });
  const events = createKubeletEvents(recorder, nodeName);
  const tokens = new TokenManager(client);
  const sources = createObjectSources(client, tokens);
  const informers = createSharedInformers(client, logger);
  const podInformer = informers.informer(pods, { fieldSelector: `spec.nodeName=${nodeName}` });
  const serviceInformer = informers.informer(services);
  const resources = hostResources(options.dataDir, options.maxPods ?? DEFAULT_MAX_PODS);
  const health = new NodeHealth(runtime, () => lifecycle.age());
  const hostIps = [nodeIp];
  const probes = new ProbeManager({ runtime, events, hostIps, onChange: (uid) => workers.wake(uid) });
  const context: KubeletContext = {
    client,
    runtime,
    runtimeName: version.runtimeName,
    events,
    logger,
    paths,
    config: sources,
    volumes: createVolumeManager(paths, rememberLocalPaths(sources, paths)),
    images: createImageManager(runtime, sources, events),
    probes,
    status: new StatusManager(client, logger),
    crashes: new BackOff(CRASH_BACK_OFF_MS.initial, CRASH_BACK_OFF_MS.max),
    clusterDns: { servers: options.clusterDns, domain: options.clusterDomain },
    hostIps,
    node: { memoryBytes: resources.memoryBytes, cgroup2: hasCgroup2() },
    cgroups: { systemd: usesSystemdCgroups(), cgroup2: hasCgroup2() },
    services: () => serviceInformer.lister.list(),
    allocatable: () => resources.allocatable,
    networkProblem: () => health.networkProblem,
    forgetTokens: (uid) => tokens.forget(uid),
  };
  const workers = new PodWorkers(context);

  let synced = false;
  const lifecycle = new PodLifecycleEvents(runtime, logger, (pod) => {
    if (workers.get(pod.uid) !== undefined) workers.wake(pod.uid);
    else if (synced && pod.states.size > 0) workers.adoptOrphan(pod);
  });

  const server =
    options.serving === undefined
      ? undefined
      : await startKubeletServer({ context, workers, serving: options.serving, nodeName, logger });
  const port = server?.port ?? 10250;
  let images: readonly Image[] = [];
  const registration = new NodeRegistration({
    client,
    nodeName,
    labels: options.nodeLabels ?? {},
    taints: options.taints ?? [],
    events,
    logger,
    facts: async () => {
      const problem = await health.check();
      // A runtime that is down has not lost its images.
      if (health.runtimeAnswers) images = await runtime.listImages().catch(() => images);
      return {
        addresses: [
          { type: 'InternalIP', address: nodeIp },
          { type: 'Hostname', address: nodeName },
        ],
        port,
        info: systemInfo(`${version.runtimeName}://${version.runtimeVersion}`, kubernetesVersion),
        resources,
        images,
        pressures: health.pressures,
        problem,
      };
    },
  });
  const lease = new NodeLease(client, nodeName, () => registration.node?.metadata.uid, logger);
  health.onNetworkReady = () => workers.wakeAll();

  await registration.start();
  lease.start();
  await lifecycle.start();
  podInformer.addHandler({
    onAdd: (pod: Pod) => workers.update(pod),
    onUpdate: (pod: Pod, old: Pod) => {
      // Deleted and made again between two looks: another pod of the same name.
      if (old.metadata?.uid !== pod.metadata?.uid) workers.remove(old);
      workers.update(pod);
    },
    onDelete: (pod: Pod) => workers.remove(pod),
  });
  await informers.start();
  synced = true;
  // What the runtime has and the API no longer knows was deleted while no kubelet ran.
  for (const pod of lifecycle.pods.values()) if (workers.get(pod.uid) === undefined) workers.adoptOrphan(pod);
  const housekeeping = new Housekeeping({
    context,
    workers,
    lifecycle,
    health,
    dataDir: options.dataDir,
    refreshNode: () => registration.refresh(),
  });
  housekeeping.start();
  logger.info({ node: nodeName, port, pods: workers.all.length }, 'kubelet is running');

  return {
    port,
    async stop() {
      await server?.stop();
      await housekeeping.stop();
      await lifecycle.stop();
      await informers.stop();
      probes.stop();
      await workers.stop();
      context.status.stop();
      await registration.stop();
      await lease.stop();
      await Promise.race([recorder.flush(), sleep(FLUSH_MS, undefined, { ref: false })]);
      if (options.runtime === undefined) runtime.close();
    },
  };
}
