import type { KubernetesObject } from '../apimachinery/resource.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import type { Ingress } from '../apimachinery/types/networking-v1.ts';
import { endpointslices, ingressclasses, ingresses, secrets, services } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';
import { createEventRecorder } from '../client/event-recorder.ts';
import type { Informer, SharedInformers } from '../client/informer.ts';
import { createSharedInformers } from '../client/shared-informers.ts';
import { createAuthority, issue } from '../cluster/pki/certificate.ts';
import type { Logger } from '../log/logger.ts';
import { SyncLoop } from '../proxy/sync-loop.ts';
import { Haproxy } from './haproxy.ts';
import { isOurs } from './ingress-class.ts';
import { desiredRouting, type Problem } from './routing.ts';

export interface IngressOptions {
  /** Acts as `system:serviceaccount:kube-system:balsa-ingress`. */
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly dataDir: string;
  readonly runDir: string;
  /** 0: not at all. */
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly metricsPort: number;
  /** Where haproxy is, unless it is on PATH. */
  readonly binary?: string;
  readonly logger: Logger;
}

const serviceNameLabel = 'kubernetes.io/service-name';
const byService = 'service';

interface Watched {
  readonly informers: SharedInformers;
  routing(ours: readonly Ingress[]): ReturnType<typeof desiredRouting>;
}

/**
 * Serves the Ingresses of our class on this node. Until there is one, only Ingresses and their classes are watched and no
 * HAProxy runs.
 */
export async function startIngress(options: IngressOptions): Promise<{ stop(): Promise<void> }> {
  const { client, logger, nodeName } = options;
  const recorder = createEventRecorder(client, { component: 'balsa-ingress', host: nodeName, logger });
  const informers = createSharedInformers(client, logger);
  const ingressInformer = informers.informer(ingresses);
  const classInformer = informers.informer(ingressclasses);
  let watched: Watched | undefined;
  let synced = false;
  let told = new Set<string>();
  let retry: NodeJS.Timeout | undefined;

  const now = new Date();
  const authority = await createAuthority('Balsa ingress', now);
  const fallback = await issue(
    authority,
    { commonName: 'Balsa ingress default certificate', names: ['ingress.local'], usages: ['server'], days: 3650 },
    now,
  );
  const haproxy = new Haproxy({
    dataDir: options.dataDir,
    runDir: options.runDir,
    httpPort: options.httpPort,
    httpsPort: options.httpsPort,
    metricsPort: options.metricsPort,
    defaultCertificate: fallback.cert + fallback.key,
    ...(options.binary === undefined ? {} : { binary: options.binary }),
    onLost(delayMs) {
      retry = setTimeout(() => loop.request(), delayMs);
    },
    logger,
  });

  const tell = (problems: readonly Problem[]): void => {
    const current = new Set<string>();
    for (const { ingress, reason, message } of problems) {
      const key = `${ingress.metadata.uid} ${reason} ${message}`;
      if (!told.has(key) && !current.has(key))
        recorder.event({ ...ingress, ...ingressType }, 'Warning', reason, message);
      current.add(key);
    }
    told = current;
  };
  const sync = async (): Promise<void> => {
    if (!synced) return;
    const classes = classInformer.lister.list();
    const ours = ingressInformer.lister.list().filter((ingress) => isOurs(ingress, classes));
    if (ours.length === 0) {
      tell([]);
      if (haproxy.running) await haproxy.stop();
      return;
    }
    watched ??= await watchBackends(client, logger, () => loop.request());
    const routing = watched.routing(ours);
    tell(routing.problems);
    await haproxy.apply(routing);
  };
  const loop = new SyncLoop({ sync, minInterval: 50, maxInterval: 30_000, logger });

  const request = (): void => loop.request();
  const unsubscribe = [onChange(ingressInformer, request, sameSpec), onChange(classInformer, request)];
  await informers.start();
  synced = true;
  request();
  return {
    async stop() {
      for (const stop of unsubscribe) stop();
      clearTimeout(retry);
      await loop.stop();
      await Promise.all([informers.stop(), watched?.informers.stop()]);
      await haproxy.stop();
      await recorder.flush();
    },
  };
}

const ingressType = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' } as const;

/** What is written to the status of an Ingress is no reason to look again. */
const sameSpec = (a: KubernetesObject, b: KubernetesObject): boolean =>
  a.metadata?.generation !== undefined &&
  a.metadata.generation === b.metadata?.generation &&
  JSON.stringify(a.metadata.annotations) === JSON.stringify(b.metadata?.annotations);

function onChange<T extends KubernetesObject>(
  informer: Informer<T>,
  changed: () => void,
  same: (a: T, b: T) => boolean = () => false,
): () => void {
  return informer.addHandler({
    onAdd: changed,
    onUpdate: (object, old) => {
      if (!same(object, old)) changed();
    },
    onDelete: changed,
  });
}

async function watchBackends(client: ApiClient, logger: Logger, changed: () => void): Promise<Watched> {
  const informers = createSharedInformers(client, logger);
  const serviceInformer = informers.informer(services);
  const sliceInformer = informers.informer(endpointslices);
  const secretInformer = informers.informer(secrets, { fieldSelector: 'type=kubernetes.io/tls' });
  sliceInformer.addIndex(byService, (slice: EndpointSlice) => {
    const name = slice.metadata.labels?.[serviceNameLabel];
    return name === undefined ? [] : [`${slice.metadata.namespace}/${name}`];
  });
  onChange(serviceInformer, changed);
  onChange(sliceInformer, changed);
  onChange(secretInformer, changed);
  await informers.start();
  return {
    informers,
    routing: (ours) =>
      desiredRouting({
        ingresses: ours,
        service: (key) => serviceInformer.lister.get(key),
        slicesOf: (key) => sliceInformer.lister.byIndex(byService, key),
        secret: (key) => secretInformer.lister.get(key),
      }),
  };
}
