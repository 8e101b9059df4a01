import { Agent } from 'node:https';
import { apiError } from '../../apimachinery/api-error.ts';
import type { Node, Pod, Service } from '../../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../../apimachinery/types/discovery-v1.ts';
import type { HandlerContext } from '../http/resource-handler.ts';
import { commonHeaders } from '../http/response.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { badRequest, forbidden, internalError, noSuchResource, serviceUnavailable } from '../status-errors.ts';
import { passThrough, passUpgrade, type Upstream } from './pass-through.ts';

const defaultKubeletPort = 10250;

export interface KubeletClientOptions {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** The subresources that are connections: log, exec, attach, port-forward by the kubelet, and the proxies. */
export class Connector {
  readonly #registry: Registry;
  readonly #agent: Agent;

  constructor(registry: Registry, options: KubeletClientOptions) {
    this.#registry = registry;
    this.#agent = new Agent({ ...options, keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  }

  stop(): void {
    this.#agent.destroy();
  }

  connect(context: HandlerContext, row: ResourceRow): Promise<void> {
    const handlers: Readonly<Record<string, () => Promise<void>>> = {
      'pods/log': () => this.#log(context),
      'pods/exec': () => this.#command(context, 'exec'),
      'pods/attach': () => this.#command(context, 'attach'),
      'pods/portforward': () => this.#portForward(context),
      'nodes/proxy': () => this.#nodeProxy(context),
      'pods/proxy': () => this.#podProxy(context),
      'services/proxy': () => this.#serviceProxy(context),
    };
    const handler = handlers[`${row.handle.resource}/${context.request.subresource}`];
    if (handler === undefined) throw noSuchResource();
    return handler();
  }

  async #pod({ request }: HandlerContext, name = request.name): Promise<Pod> {
    const row = this.#registry.require('', 'v1', 'pods');
    return (await this.#registry.reads.get(row, request.namespace, name)).object as Pod;
  }

  async #log(context: HandlerContext): Promise<void> {
    const { exchange, info, request } = context;
    const { query } = info;
    checkLogOptions(query, request.name);
    const pod = await this.#pod(context);
    const container = containerOf(pod, query.get('container') ?? '');
    if (!pod.spec?.nodeName) {
      exchange.respond(204, commonHeaders(exchange), '');
      return;
    }
    const upstream = await this.#kubelet(pod.spec.nodeName);
    const passed = new URLSearchParams();
    for (const name of [
      'follow',
      'previous',
      'timestamps',
      'tailLines',
      'limitBytes',
      'sinceSeconds',
      'sinceTime',
      'stream',
    ]) {
      const value = query.get(name);
      if (value !== null) passed.set(name, value);
    }
    const path = `/containerLogs/${pathOf(pod)}/${container}${passed.size > 0 ? `?${passed}` : ''}`;
    await passThrough(exchange, { ...upstream, path }, true);
  }

  async #command(context: HandlerContext, what: 'exec' | 'attach'): Promise<void> {
    const { info } = context;
    const { query } = info;
    const pod = await this.#pod(context);
    refuseUnspeakable(context);
    const container = containerOf(pod, query.get('container') ?? '');
    if (!pod.spec?.nodeName) throw badRequest(`pod ${pod.metadata?.name} does not have a host assigned`);
    const passed = new URLSearchParams();
    const names = { stdin: 'input', stdout: 'output', stderr: 'error', tty: 'tty' } as const;
    for (const [from, to] of Object.entries(names)) {
      const value = query.get(from);
      if (value !== null && value !== 'false' && value !== '0') passed.set(to, '1');
    }
    for (const part of query.getAll('command')) passed.append('command', part);
    const upstream = await this.#kubelet(pod.spec.nodeName);
    await passUpgrade(context.exchange, { ...upstream, path: `/${what}/${pathOf(pod)}/${container}?${passed}` });
  }

  async #portForward(context: HandlerContext): Promise<void> {
    const pod = await this.#pod(context);
    refuseUnspeakable(context);
    if (!pod.spec?.nodeName) throw badRequest(`pod ${pod.metadata?.name} does not have a host assigned`);
    const passed = new URLSearchParams();
    for (const port of context.info.query.getAll('ports')) passed.append('port', port);
    const upstream = await this.#kubelet(pod.spec.nodeName);
    const query = passed.size > 0 ? `?${passed}` : '';
    await passUpgrade(context.exchange, { ...upstream, path: `/portForward/${pathOf(pod)}${query}` });
  }

  /** The kubelet of a node: its internal address and the port that it says it serves on. */
  async #kubelet(nodeName: string): Promise<Omit<Upstream, 'path'>> {
    const row = this.#registry.require('', 'v1', 'nodes');
    const node = (await this.#registry.reads.get(row, '', nodeName)).object as Node;
    const host = addressOf(node);
    if (host === undefined) {
      throw internalError(`no preferred addresses found; known addresses: []`);
    }
    const port =
      (node.status?.daemonEndpoints?.kubeletEndpoint as { Port?: number } | undefined)?.Port ?? defaultKubeletPort;
    return { protocol: 'https', host, port, agent: this.#agent };
  }

  async #nodeProxy(context: HandlerContext): Promise<void> {
    const { scheme, name, port } = splitProxyName(context.request.name);
    const upstream = await this.#kubelet(name);
    const foreign = port !== '' && Number(port) !== upstream.port;
    const target = foreign
      ? {
          protocol: scheme === 'https' ? ('https' as const) : ('http' as const),
          host: upstream.host,
          port: Number(port),
        }
      : upstream;
    await this.#proxy(context, target);
  }

  async #podProxy(context: HandlerContext): Promise<void> {
    const { scheme, name, port } = splitProxyName(context.request.name);
    const pod = await this.#pod(context, name);
    const host = pod.status?.podIP;
    if (!host) throw badRequest('address not allowed');
    const declared = pod.spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
    const number = port === '' ? (declared[0]?.containerPort ?? 80) : portNumber(port, declared);
    await this.#proxy(context, { protocol: scheme === 'https' ? 'https' : 'http', host, port: number });
  }

  async #serviceProxy(context: HandlerContext): Promise<void> {
    const { namespace } = context.request;
    const { scheme, name, port } = splitProxyName(context.request.name);
    const services = this.#registry.require('', 'v1', 'services');
    const service = (await this.#registry.reads.get(services, namespace, name)).object as Service;
    const ports = service.spec?.ports ?? [];
    const chosen = ports.find((candidate) =>
      port === '' ? ports.length === 1 : candidate.name === port || String(candidate.port) === port,
    );
    if (chosen === undefined) {
      throw serviceUnavailable(`no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
    }
    const slices = this.#registry.hub.cacheOf(this.#registry.require('discovery.k8s.io', 'v1', 'endpointslices'));
    const candidates = slices
      .list(namespace)
      .map((stored) => stored.object as EndpointSlice)
      .filter((slice) => slice.metadata?.labels?.['kubernetes.io/service-name'] === name)
      .flatMap((slice) => {
        const slicePort = slice.ports?.find((candidate) => (candidate.name ?? '') === (chosen.name ?? ''))?.port;
        if (slicePort === undefined) return [];
        return (slice.endpoints ?? [])
          .filter((endpoint) => endpoint.conditions?.ready !== false)
          .flatMap((endpoint) => endpoint.addresses.map((host) => ({ host, port: slicePort })));
      });
    const target = candidates[Math.floor(Math.random() * candidates.length)];
    if (target === undefined)
      throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(context.request.name)}`);
    await this.#proxy(context, { protocol: scheme === 'https' ? 'https' : 'http', ...target });
  }

  async #proxy({ exchange, info, request }: HandlerContext, target: Omit<Upstream, 'path'>): Promise<void> {
    const query = info.query.toString();
    const path = `${request.rest === '' ? '/' : request.rest}${query === '' ? '' : `?${query}`}`;
    const upgrade = exchange.headers.upgrade !== undefined && exchange.http1?.head !== undefined;
    await (upgrade ? passUpgrade(exchange, { ...target, path }) : passThrough(exchange, { ...target, path }));
  }
}

function pathOf(pod: Pod): string {
  return `${pod.metadata!.namespace}/${pod.metadata!.name}`;
}

function addressOf(node: Node): string | undefined {
  const addresses = node.status?.addresses ?? [];
  for (const type of ['InternalIP', 'Hostname', 'InternalDNS', 'ExternalDNS', 'ExternalIP']) {
    const found = addresses.find((address) => address.type === type);
    if (found !== undefined) return found.address;
  }
  return undefined;
}

/** The container that is meant; a pod with several has to be asked by name. */
function containerOf(pod: Pod, asked: string): string {
  const names = (list: readonly { name: string }[] | undefined) => (list ?? []).map(({ name }) => name);
  const main = names(pod.spec?.containers);
  const init = names(pod.spec?.initContainers);
  const ephemeral = names(pod.spec?.ephemeralContainers);
  const podName = pod.metadata?.name ?? '';
  if (asked !== '') {
    if ([...main, ...init, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${podName}`);
  }
  if (main.length === 1) return main[0]!;
  if (main.length === 0) throw badRequest(`a container name must be specified for pod ${podName}`);
  const initText = init.length > 0 ? ` or one of the init containers: [${init.join(' ')}]` : '';
  throw badRequest(
    `a container name must be specified for pod ${podName}, choose one of: [${main.join(' ')}]${initText}`,
  );
}

/**
 * Newer clients first offer WebSocket subprotocols that container runtimes may not speak. Refused plainly, they go on with
 * SPDY, as they do against an older cluster.
 */
const unspeakable: ReadonlySet<string> = new Set(['v5.channel.k8s.io', 'SPDY/3.1+portforward.k8s.io']);

function refuseUnspeakable({ exchange, request }: HandlerContext): void {
  if (exchange.headers.upgrade?.toLowerCase() !== 'websocket') return;
  const offered = (exchange.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (offered.every((name) => name === '' || unspeakable.has(name))) {
    throw forbidden(
      { group: '', resource: 'pods' },
      request.name,
      `unable to upgrade: none of the protocols ${JSON.stringify(offered)} is supported`,
    );
  }
}

function checkLogOptions(query: URLSearchParams, name: string): void {
  const numbers: readonly (readonly [string, number])[] = [
    ['tailLines', 0],
    ['limitBytes', 1],
    ['sinceSeconds', 1],
  ];
  for (const [parameter, least] of numbers) {
    const value = query.get(parameter);
    if (value === null) continue;
    if (!/^-?\d+$/.test(value)) {
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
    }
    if (Number(value) < least) {
      const why = least === 0 ? 'must be greater than or equal to 0' : 'must be greater than 0';
      throw apiError('Invalid', `PodLogOptions "${name}" is invalid: ${parameter}: Invalid value: ${value}: ${why}`, {
        name,
        kind: 'PodLogOptions',
        causes: [{ reason: 'FieldValueInvalid', message: `Invalid value: ${value}: ${why}`, field: parameter }],
      });
    }
  }
}

/** `[scheme:]name[:port]` */
function splitProxyName(text: string): { scheme: string; name: string; port: string } {
  const parts = text.split(':');
  if (parts.length === 1) return { scheme: '', name: text, port: '' };
  if (parts.length === 2) return { scheme: '', name: parts[0]!, port: parts[1]! };
  if (parts.length === 3) return { scheme: parts[0]!, name: parts[1]!, port: parts[2]! };
  throw badRequest(`invalid proxy request ${JSON.stringify(text)}`);
}

function portNumber(port: string, declared: readonly { name?: string; containerPort: number }[]): number {
  const named = declared.find((candidate) => candidate.name === port);
  if (named !== undefined) return named.containerPort;
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65535)
    throw badRequest(`invalid port ${JSON.stringify(port)}`);
  return number;
}
