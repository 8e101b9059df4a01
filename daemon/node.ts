import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { localAccess, type Role, remoteAccess, type Started, startAgent } from './agent.ts';
import { startApiServer } from './api/api-server.ts';
import type { Resource } from './apimachinery/resource.ts';
import type { ApiClient, Identity } from './client/api-client.ts';
import { writeKubeconfig } from './client/kubeconfig.ts';
import { createSharedInformers } from './client/shared-informers.ts';
import { startControlServer } from './cluster/control/control-server.ts';
import { joinedCluster } from './cluster/join/join-client.ts';
import { startJoinServer } from './cluster/join/join-server.ts';
import type { Membership } from './cluster/join/membership-file.ts';
import { becomeVoter } from './cluster/join/promotion.ts';
import type { KeyPair } from './cluster/pki/certificate.ts';
import { loadOrCreatePki, type Pki, writeSecretFile } from './cluster/pki/pki.ts';
import type { Config } from './config/config.ts';
import { startControllers } from './controllers/controllers.ts';
import { builtInResources } from './controllers/served-resources.ts';
import { startIngress } from './ingress/ingress.ts';
import { startIngressStatus } from './ingress/ingress-status.ts';
import { startContainerd } from './kubelet/containerd.ts';
import { pauseImage } from './kubelet/images/local-images.ts';
import { startLoadBalancerController } from './loadbalancer/load-balancer-controller.ts';
import type { Logger } from './log/logger.ts';
import { startScheduler } from './scheduler/scheduler.ts';
import { startEmbeddedStore } from './store/embedded.ts';
import type { Store } from './store/store.ts';
import { version } from './version.ts';

const component = (name: string): Identity => ({ name: `system:${name}`, groups: ['system:authenticated'] });
const serviceAccount = (name: string): Identity => ({
  name: `system:serviceaccount:kube-system:${name}`,
  groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
});
/** Roles that run where the store's leader is: started when this member begins to lead, stopped when it no longer does. */
function whileLeading(store: Store, start: () => Promise<Role>, logger: Logger): Role {
  let wanted = false;
  let running: Role | undefined;
  // Changes are handled one after the other: a stop never overtakes the start before it.
  let last: Promise<void> = Promise.resolve();
  const settle = async (): Promise<void> => {
    if (wanted && running === undefined) {
      logger.info('leading: starting the scheduler and the controllers');
      running = await start();
    } else if (!wanted && running !== undefined) {
      logger.info('no longer leading: stopping the scheduler and the controllers');
      const role = running;
      running = undefined;
      await role.stop();
    }
  };
  const follow = (leading: boolean): Promise<void> => {
    wanted = leading;
    last = last.then(settle).catch((error: unknown) => logger.error({ err: error }, 'leader roles'));
    return last;
  };
  const unsubscribe = store.onLeadership((leading) => void follow(leading));
  void follow(store.isLeader());
  return {
    stop() {
      unsubscribe();
      return follow(false);
    },
  };
}

async function startLeaderRoles(
  config: Config,
  pki: Pki,
  clientFor: (identity: Identity) => ApiClient,
  customResources: () => readonly Resource[],
  logger: Logger,
): Promise<Role> {
  const schedulerClient = clientFor(component('kube-scheduler'));
  const schedulerInformers = createSharedInformers(schedulerClient, logger);
  const managerInformers = createSharedInformers(clientFor(component('kube-controller-manager')), logger);
  const [scheduler, controllers, ingressStatus, loadBalancers] = await Promise.all([
    startScheduler({
      client: schedulerClient,
      informers: schedulerInformers,
      logger: logger.child({ component: 'scheduler' }),
    }),
    startControllers({
      clientFor: (controller) => clientFor(serviceAccount(controller)),
      informers: managerInformers,
      rootCa: pki.authorities.ca.cert,
      signingCa: pki.authorities.ca,
      localPathDirectory: join(config.dataDir, 'local-path'),
      resources: () => [...builtInResources, ...customResources()],
      clusterPodCidr: config.podCidr,
      nodeCidrMaskSize: config.nodeCidrMaskSize,
      logger: logger.child({ component: 'controllers' }),
    }),
    servesIngress(config)
      ? startIngressStatus({
          client: clientFor(serviceAccount('balsa-ingress')),
          logger: logger.child({ component: 'ingress-status' }),
        })
      : undefined,
    config.loadBalancerPool.length > 0
      ? startLoadBalancerController({
          client: clientFor(serviceAccount('service-controller')),
          informers: managerInformers,
          pool: config.loadBalancerPool,
          logger: logger.child({ component: 'load-balancer' }),
        })
      : undefined,
  ]);
  return {
    async stop() {
      await Promise.all([scheduler.stop(), controllers.stop(), ingressStatus?.stop(), loadBalancers?.stop()]);
      await Promise.all([schedulerInformers.stop(), managerInformers.stop()]);
    },
  };
}

/** Starts every role of this node, in the order in which they need each other; `stop` takes them down in reverse. */
export async function startNode(configured: Config, logger: Logger): Promise<Role> {
  const startedAt = process.hrtime.bigint();
  mkdirSync(configured.dataDir, { recursive: true, mode: 0o700 });
  const membership = await joinedCluster(configured, logger.child({ component: 'join' }));
  const config: Config =
    membership === undefined ? configured : { ...configured, ...membership.settings, role: membership.role };
  const roles: { name: string; role: Role }[] = [];
  const started: Started = (name, role) => {
    roles.push({ name, role });
    return role;
  };
  const stop = async (): Promise<void> => {
    for (const { name, role } of roles.splice(0).reverse()) {
      logger.debug({ role: name }, 'stopping');
      await role
        .stop()
        .catch((error: unknown) => logger.error({ err: error, role: name }, 'role did not stop cleanly'));
    }
  };
  try {
    await startRoles(config, membership, logger, started);
  } catch (error) {
    await stop();
    throw error;
  }
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  logger.info({ node: config.nodeName, seconds }, 'node is Ready');
  const tour = config.role.includes('server')
    ? `  export KUBECONFIG=${adminKubeconfig(config)}\n  kubectl get nodes\n\n`
    : '';
  process.stdout.write(
    `\nBalsa ${version}: node ${config.nodeName} is Ready after ${seconds.toFixed(1)} s\n\n${tour}Ctrl-C stops the daemon; pods go on running.\n`,
  );
  return { stop };
}

const adminKubeconfig = (config: Config): string => join(config.dataDir, 'admin.kubeconfig');

async function startRoles(
  config: Config,
  membership: Membership | undefined,
  logger: Logger,
  started: Started,
): Promise<void> {
  const log = (name: string): Logger => logger.child({ component: name });

  // containerd needs a second to come up: it does so beside the store and the API.
  const runsPods = config.role.includes('agent');
  const ownRuntime = runsPods && config.containerRuntimeEndpoint === '';
  const containerd = ownRuntime
    ? startContainerd({
        dataDir: config.dataDir,
        runDir: config.runDir,
        cniConfDir: join(config.dataDir, 'cni/net.d'),
        cniBinDir: config.cniBinDir,
        pauseImage,
        logger: log('containerd'),
      })
    : undefined;
  containerd?.catch(() => {}); // Awaited below; until then its failure must not count as unhandled.

  if (!config.role.includes('server')) {
    if (membership === undefined) throw new Error('an agent needs a cluster: balsad join <server> --token <token>');
    await startAgent(config, remoteAccess(config, membership, log('client'), started), containerd, log, started);
    return;
  }
  const { pki, clientFor } = await startServer(config, membership, logger, started);
  if (runsPods) {
    const access = localAccess(config, clientFor, pki.leaves.kubelet, pki.authorities.ca.cert);
    await startAgent(config, access, containerd, log, started);
    if (servesIngress(config)) {
      const { nodeName, dataDir, runDir } = config;
      started(
        'ingress',
        await startIngress({
          client: clientFor(serviceAccount('balsa-ingress')),
          nodeName,
          dataDir,
          runDir,
          httpPort: config.ingressHttpPort,
          httpsPort: config.ingressHttpsPort,
          metricsPort: config.ingressMetricsPort,
          logger: log('ingress'),
        }),
      );
    }
  }
}

const servesIngress = (config: Config): boolean => config.ingressHttpPort > 0 || config.ingressHttpsPort > 0;

interface RunningServer {
  readonly pki: Pki;
  /** A client in this process. */
  clientFor(identity: Identity): ApiClient;
}

/** The roles of a node that takes part in the store and answers the API. */
async function startServer(
  config: Config,
  membership: Membership | undefined,
  logger: Logger,
  started: Started,
): Promise<RunningServer> {
  const log = (name: string): Logger => logger.child({ component: name });
  const pki = await loadOrCreatePki(config);
  const { ca } = pki.authorities;
  const storeTls = (pair: KeyPair) => ({ ...pair, ca: pki.authorities['etcd/ca'].cert });
  const running = started(
    'store',
    await startEmbeddedStore({
      dataDir: join(config.dataDir, 'store'),
      nodeName: config.nodeName,
      clientListen: {
        host: config.bindAddress,
        port: config.storeClientPort,
        tls: storeTls(pki.leaves['etcd/server']),
      },
      peerListen: { host: config.bindAddress, port: config.storePeerPort, tls: storeTls(pki.leaves['etcd/peer']) },
      clientUrls: [`https://${config.nodeIp}:${config.storeClientPort}`],
      peerUrls: [`https://${config.nodeIp}:${config.storePeerPort}`],
      ...(membership?.store === undefined
        ? {}
        : { join: { ...membership.store, clusterId: BigInt(membership.store.clusterId) } }),
      // The API server compacts what it no longer needs.
      autoCompaction: 0,
      // Nothing can be acknowledged any more: better no daemon than one that lies. systemd starts it again.
      onFatal(error) {
        logger.fatal({ err: error }, 'the store has failed');
        process.stderr.write(`balsad: the store has failed: ${error.message}\n`);
        process.exit(1);
      },
      logger: log('store'),
    }),
  );
  const { store } = running;
  if (membership?.store !== undefined) await becomeVoter(running, log('store'));
  const issuer = `https://kubernetes.default.svc.${config.clusterDomain}`;
  const api = started(
    'api',
    await startApiServer({
      store,
      listen: { host: config.bindAddress, port: config.apiPort },
      advertiseAddress: config.nodeIp,
      tls: { ...pki.leaves.apiserver, clientCa: ca.cert, requestHeaderCa: pki.authorities['front-proxy-ca'].cert },
      serviceAccount: {
        signingKey: pki.serviceAccount.privateKey,
        verificationKeys: [pki.serviceAccount.publicKey],
        issuer,
      },
      kubeletClient: { ...pki.leaves['apiserver-kubelet-client'], ca: ca.cert },
      proxyClient: pki.leaves['front-proxy-client'],
      serviceCidr: config.serviceCidr,
      nodePortRange: config.nodePortRange,
      clusterDomain: config.clusterDomain,
      ...(config.encryptionProviderConfig === '' ? {} : { encryptionConfig: config.encryptionProviderConfig }),
      ...(config.auditPolicyFile === ''
        ? {}
        : {
            audit: {
              policyFile: config.auditPolicyFile,
              logPath: config.auditLogPath || join(config.dataDir, 'audit.log'),
            },
          }),
      logger: log('api'),
    }),
  );
  const server = `https://${config.nodeIp}:${config.apiPort}`;
  writeSecretFile(
    adminKubeconfig(config),
    writeKubeconfig('balsa', 'kubernetes-admin', { server, ca: ca.cert, ...pki.leaves.admin }),
  );
  const clientFor = (identity: Identity): ApiClient => api.clientFor(identity);

  started(
    'leader roles',
    whileLeading(store, () => startLeaderRoles(config, pki, clientFor, () => api.customResources(), logger), logger),
  );
  started(
    'control',
    await startControlServer({
      listen: { host: config.bindAddress, port: config.controlPort },
      tls: { ...pki.leaves.control, clientCa: ca.cert },
      api: { host: '127.0.0.1', port: config.apiPort, ca: ca.cert, ...pki.leaves.admin },
      store: running,
      joinAddress: `${config.nodeIp}:${config.joinPort}`,
      version,
      logger: log('control'),
    }),
  );
  started(
    'join',
    await startJoinServer({
      listen: { host: config.bindAddress, port: config.joinPort },
      config,
      pki,
      client: clientFor({ name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }),
      store: running,
      logger: log('join'),
    }),
  );
  return { pki, clientFor };
}
