import { readFileSync } from 'node:fs';
import type { Resource } from '../apimachinery/resource.ts';
import type { ApiClient, Identity } from '../client/api-client.ts';
import { InProcessClient } from '../client/in-process-client.ts';
import type { Logger } from '../log/logger.ts';
import type { Store } from '../store/store.ts';
import { AdmissionChain } from './admission/admission.ts';
import { defaultPlugins } from './admission/default-plugins.ts';
import { MutatingPolicies } from './admission/policy/mutating-policies.ts';
import { keepPolicyStatus } from './admission/policy/policy-status.ts';
import { ValidatingPolicies } from './admission/policy/validating-policies.ts';
import { AdmissionVariables } from './admission/policy/variables.ts';
import { WebhookClient } from './admission/webhook/webhook-client.ts';
import { Webhooks } from './admission/webhook/webhooks.ts';
import { Aggregator } from './aggregation/aggregator.ts';
import { CustomApiServices } from './aggregation/custom-api-services.ts';
import { openAuditLog } from './audit/audit-log.ts';
import { parseAuditPolicy } from './audit/policy.ts';
import { AuthenticatorChain } from './authentication/authenticator.ts';
import { ClientCertificateAuthenticator } from './authentication/client-certificate.ts';
import { RequestHeaderAuthenticator } from './authentication/request-header.ts';
import {
  type LiveUid,
  ServiceAccountAuthenticator,
  ServiceAccountTokens,
} from './authentication/service-account-token.ts';
import { AuthorizerChain, privilegedGroups } from './authorization/authorizer.ts';
import { NodeAuthorizer } from './authorization/node.ts';
import { RbacAuthorizer } from './authorization/rbac.ts';
import { reviews } from './authorization/reviews.ts';
import { publishApiServices } from './bootstrap/api-services.ts';
import { ensureSystemObjects, publishAuthentication } from './bootstrap/bootstrap.ts';
import { reconcileDefaultPolicy } from './bootstrap/default-policy.ts';
import { maintainKubernetesService } from './bootstrap/kubernetes-service.ts';
import { CustomResources } from './customresources/custom-resources.ts';
import { componentStatuses } from './discovery/component-statuses.ts';
import { Discovery } from './discovery/discovery.ts';
import { versionInfo } from './discovery/version.ts';
import { parseEncryptionConfiguration } from './encryption/configuration.ts';
import { encryptedStore } from './encryption/encrypted-store.ts';
import { FrontDoor } from './http/front-door.ts';
import { HealthChecks } from './http/health.ts';
import { createOpenApiHandler } from './http/openapi-handler.ts';
import { createPathHandler } from './http/paths.ts';
import { ResourceHandler } from './http/resource-handler.ts';
import { listen } from './http/tls-listener.ts';
import { Connector } from './kubelet/connect.ts';
import { OpenApi } from './openapi/openapi.ts';
import { trackUpdate } from './patch/managed-fields.ts';
import { Registry } from './registry/registry.ts';
import { reserveForServices } from './registry/service-reservations.ts';
import { ResourceApi, type VirtualResource } from './resource-api.ts';
import { ServiceAllocator } from './resources/service-allocation.ts';
import { resourceRows } from './resources/table.ts';
import { bindings, podBinding } from './subresources/binding.ts';
import { podEviction } from './subresources/eviction.ts';
import { tokenRequests, tokenReviews } from './subresources/token.ts';

export interface ApiServerOptions {
  readonly store: Store;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where clients inside the cluster reach this server. */
  readonly advertiseAddress: string;
  /** PEM. `requestHeaderCa`: of proxies that may name the user in headers. */
  readonly tls: {
    readonly cert: string;
    readonly key: string;
    readonly clientCa: string;
    readonly requestHeaderCa?: string;
  };
  /** Keys in PEM. */
  readonly serviceAccount: {
    readonly signingKey: string;
    readonly verificationKeys: readonly string[];
    readonly issuer: string;
  };
  /** What this server shows to kubelets, and the authority of their serving certificates. PEM. */
  readonly kubeletClient: { readonly cert: string; readonly key: string; readonly ca: string };
  /** What this server shows to extension servers: a certificate of the front proxy's authority. PEM. */
  readonly proxyClient?: { readonly cert: string; readonly key: string };
  readonly serviceCidr: string;
  readonly nodePortRange: { readonly from: number; readonly to: number };
  readonly clusterDomain: string;
  /** What is recorded, a Policy of audit.k8s.io/v1, and the file the events go to. Absent: nothing. */
  readonly audit?: { readonly policyFile: string; readonly logPath: string };
  /** An EncryptionConfiguration: what is sealed in the store, and with which keys. Absent: nothing is. */
  readonly encryptionConfig?: string;
  readonly logger: Logger;
}

export interface ApiServer {
  readonly url: string;
  /** A client in this process, as `identity`. */
  clientFor(identity: Identity): ApiClient;
  /** The custom resources that are served now, each in one version. */
  customResources(): readonly Resource[];
  /** Says not ready, ends watches, finishes what is under way, closes. */
  stop(): Promise<void>;
}

const frontProxyName = 'front-proxy-client';
const stopGraceMs = 5000;
const compactEveryMs = 5 * 60_000;

/** Starts the API server and resolves when it serves. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { logger } = options;
  const store =
    options.encryptionConfig === undefined
      ? options.store
      : encryptedStore(
          options.store,
          parseEncryptionConfiguration(readFileSync(options.encryptionConfig, 'utf8')),
          resourceRows,
          logger.child({ part: 'encryption' }),
        );
  const startedAt = performance.now();

  const webhooks: Webhooks = new Webhooks(
    () => registry,
    () => webhookClient,
    () => admissionVariables,
    logger,
  );
  const mutatingPolicies: MutatingPolicies = new MutatingPolicies(
    () => registry,
    () => admissionVariables,
  );
  const policies: ValidatingPolicies = new ValidatingPolicies(
    () => registry,
    () => admissionVariables,
  );
  const registry: Registry = new Registry({
    store,
    rows: resourceRows,
    track: trackUpdate,
    admission: new AdmissionChain(
      defaultPlugins({
        registry: () => registry,
        customResources: () => customResources,
        rbac: () => rbac,
        authorizer: () => authorizer,
        dynamic: [mutatingPolicies.plugin, webhooks.mutating, policies.plugin, webhooks.validating],
      }),
    ),
    logger,
  });
  await registry.hub.start();

  const cacheOf = (group: string, resource: string) => registry.hub.cacheOf(registry.require(group, 'v1', resource));
  const allocator = new ServiceAllocator({
    serviceCidrs: options.serviceCidr.split(','),
    nodePortRange: options.nodePortRange,
  });
  registry.writes.reserve = reserveForServices(allocator, cacheOf('', 'services'));

  const rbacGroup = 'rbac.authorization.k8s.io';
  const rbac: RbacAuthorizer = new RbacAuthorizer({
    roles: cacheOf(rbacGroup, 'roles'),
    roleBindings: cacheOf(rbacGroup, 'rolebindings'),
    clusterRoles: cacheOf(rbacGroup, 'clusterroles'),
    clusterRoleBindings: cacheOf(rbacGroup, 'clusterrolebindings'),
  });
  const authorizer: AuthorizerChain = new AuthorizerChain([
    privilegedGroups,
    new NodeAuthorizer(cacheOf('', 'pods')),
    rbac,
  ]);

  const webhookClient: WebhookClient = new WebhookClient(registry);
  const admissionVariables: AdmissionVariables = new AdmissionVariables(registry, authorizer);

  const liveUid: LiveUid = (resource, namespace, name) => {
    const object = cacheOf('', resource).get(namespace === '' ? name : `${namespace}/${name}`)?.object;
    return object?.metadata?.uid;
  };
  const { issuer } = options.serviceAccount;
  const tokens = new ServiceAccountTokens({ ...options.serviceAccount, liveUid });
  const audiences = [issuer];
  const authenticators = new AuthenticatorChain(
    [
      ...(options.tls.requestHeaderCa === undefined
        ? []
        : [new RequestHeaderAuthenticator(options.tls.requestHeaderCa, [frontProxyName])]),
      new ClientCertificateAuthenticator(options.tls.clientCa),
      new ServiceAccountAuthenticator(tokens, audiences),
    ],
    true,
  );

  const connector = new Connector(registry, options.kubeletClient);
  const virtual: VirtualResource[] = [...reviews, tokenReviews(tokens, audiences), bindings, componentStatuses(store)];
  const api = new ResourceApi(registry, authorizer, rbac, {
    subresources: new Map([
      ['pods/binding', podBinding],
      ['pods/eviction', podEviction],
      ['serviceaccounts/token', tokenRequests(tokens, audiences)],
    ]),
    virtual: new Map(
      virtual.map((resource) => [
        `${resource.kind.group}/${resource.kind.version}/${resource.kind.resource}`,
        resource,
      ]),
    ),
    creators: new Map(),
    connect: (context, row) => connector.connect(context, row),
  });

  let stopping = false;
  let bootstrapped = false;
  const health = new HealthChecks([
    { name: 'ping', endpoints: ['healthz', 'livez', 'readyz'], failure: () => undefined },
    { name: 'log', endpoints: ['healthz', 'livez', 'readyz'], failure: () => undefined },
    {
      name: 'etcd',
      endpoints: ['healthz', 'livez', 'readyz'],
      failure: () => (registry.hub.ready ? undefined : 'the caches are not loaded'),
    },
    { name: 'informer-sync', endpoints: ['readyz'], failure: () => (registry.hub.ready ? undefined : 'not synced') },
    {
      name: 'poststarthook/rbac/bootstrap-roles',
      endpoints: ['healthz', 'livez', 'readyz'],
      failure: () => (bootstrapped ? undefined : 'not finished'),
    },
    { name: 'shutdown', endpoints: ['readyz'], failure: () => (stopping ? 'process is shutting down' : undefined) },
  ]);
  const serverAddress = (port: number) => `${bracketed(options.advertiseAddress)}:${port}`;
  const discovery = new Discovery(resourceRows, virtual);
  const builtIn = discovery.groupVersions();
  const builtInGroups = new Set(builtIn.map(([group]) => group));
  const customApiServices = new CustomApiServices(registry, logger);
  const aggregator = new Aggregator(registry, discovery, options.proxyClient, logger);
  const openApi = new OpenApi(versionInfo.gitVersion);
  const customResources: CustomResources = new CustomResources(
    registry,
    openApi,
    webhookClient,
    (rows) => {
      discovery.update(rows);
      const custom = rows.filter(({ handle }) => !builtInGroups.has(handle.group));
      customApiServices.update(new Set(custom.map(({ handle }) => `${handle.group}/${handle.version}`)));
    },
    logger.child({ part: 'custom resources' }),
  );

  const audit =
    options.audit === undefined
      ? undefined
      : openAuditLog(
          parseAuditPolicy(readFileSync(options.audit.policyFile, 'utf8')),
          options.audit.logPath,
          logger.child({ part: 'audit' }),
        );
  const resources = new ResourceHandler(api);
  let door: FrontDoor | undefined;
  const listener = await listen({
    ...options.listen,
    cert: options.tls.cert,
    key: options.tls.key,
    clientCa: [options.tls.clientCa, options.tls.requestHeaderCa ?? ''].join('\n'),
    onExchange: (exchange) => void door?.handle(exchange),
    logger,
  });
  const { port } = listener.address;
  door = new FrontDoor({
    authenticators,
    authorizer,
    resources,
    ...(audit === undefined ? {} : { audit }),
    paths: createPathHandler({
      discovery,
      health,
      tokens,
      serverAddress: serverAddress(port),
      openApi: createOpenApiHandler(openApi),
    }),
    aggregated: (context) => aggregator.serve(context),
    logger,
  });

  try {
    await customResources.start();
    await ensureSystemObjects(registry);
    await reconcileDefaultPolicy(registry);
    await publishAuthentication(registry, options.tls);
  } catch (error) {
    await listener.close(0);
    registry.hub.stop();
    throw error;
  }
  const kubernetesService = await maintainKubernetesService(
    registry,
    { serviceCidr: options.serviceCidr.split(',')[0]!, advertiseAddress: options.advertiseAddress, port },
    logger,
  );
  bootstrapped = true;
  webhooks.enabled = true;
  aggregator.start();
  customApiServices.start();
  const stopPolicyStatus = keepPolicyStatus(registry, logger);
  // Nothing waits for these: they tell the aggregation layer's clients what is served here.
  void publishApiServices(registry, builtIn).catch((error: unknown) =>
    logger.warn({ err: error }, 'cannot register the API services'),
  );
  const stopCompaction = compactRegularly(store, logger);
  const url = `https://${bracketed(options.listen.host === '0.0.0.0' || options.listen.host === '::' ? options.advertiseAddress : options.listen.host)}:${port}`;
  logger.info({ url, ms: Math.round(performance.now() - startedAt) }, 'the API server is ready');

  return {
    url,
    clientFor: (identity) => new InProcessClient(api, identity),
    customResources: () => customResources.handles(),
    async stop() {
      stopping = true;
      stopCompaction();
      await kubernetesService.stop();
      customResources.stop();
      aggregator.stop();
      stopPolicyStatus();
      webhookClient.stop();
      registry.watches.stop();
      await listener.close(stopGraceMs);
      await audit?.close();
      connector.stop();
      registry.hub.stop();
    },
  };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Forgets what is older than one to two intervals, as kube-apiserver does: long lists and watches have that long. */
function compactRegularly(store: Store, logger: Logger): () => void {
  let previous = 0;
  const timer = setInterval(() => {
    void (async () => {
      const { revision } = await store.status();
      if (previous > 0 && store.isLeader()) await store.compact(previous);
      previous = revision;
    })().catch((error: unknown) => logger.warn({ err: error }, 'cannot compact the store'));
  }, compactEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}
