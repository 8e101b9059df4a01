import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret, Service, ServicePort } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import type { Ingress, IngressBackend, IngressServiceBackend } from '../apimachinery/types/networking-v1.ts';

/** Everything that routing depends on; all Ingresses in it are ours. */
export interface IngressObjects {
  readonly ingresses: readonly Ingress[];
  service(key: string): Service | undefined;
  slicesOf(serviceKey: string): readonly EndpointSlice[];
  secret(key: string): Secret | undefined;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Certificate {
  /** `namespace/name` of the secret. */
  readonly secret: string;
  /** Certificates, then the key. */
  readonly pem: string;
  /** Server names that it is for; empty: those that it names itself. */
  readonly hosts: readonly string[];
}

/** Something about an Ingress that cannot be done as asked. */
export interface Problem {
  readonly ingress: Ingress;
  readonly reason: string;
  readonly message: string;
}

/** What the proxy is to do. Keys of hosts: a name, `*.` and a name, or `*` for requests that no other host matches. */
export interface Routing {
  readonly hosts: ReadonlySet<string>;
  /** Host and path, as `example.com/foo`, to backend. */
  readonly exact: ReadonlyMap<string, string>;
  /** Host and path with a slash at its end, as `example.com/foo/`, to backend. */
  readonly prefix: ReadonlyMap<string, string>;
  /** For what nothing else matches. */
  readonly defaultBackend: string | undefined;
  readonly backends: ReadonlyMap<string, readonly Endpoint[]>;
  readonly certificates: readonly Certificate[];
  readonly problems: readonly Problem[];
}

const anyHost = '*';

/** The older Ingress wins where two want the same. */
function byAge(a: Ingress, b: Ingress): number {
  const key = (ingress: Ingress): string =>
    `${ingress.metadata.creationTimestamp ?? ''} ${ingress.metadata.namespace}/${ingress.metadata.name}`;
  return key(a) < key(b) ? -1 : 1;
}

/**
 * The desired routing, from objects alone. Hosts: a name beats a wildcard (of exactly one label), which beats no host. Paths of
 * the host that won: an exact one beats the longest prefix; prefixes match whole elements (Kubernetes' Ingress rules). An
 * ImplementationSpecific path is a Prefix.
 */
export function desiredRouting(objects: IngressObjects): Routing {
  return new RoutingBuilder(objects).build();
}

class RoutingBuilder {
  readonly #objects: IngressObjects;
  readonly #hosts = new Set<string>();
  readonly #exact = new Map<string, string>();
  readonly #prefix = new Map<string, string>();
  readonly #backends = new Map<string, readonly Endpoint[]>();
  readonly #certificates = new Map<string, { pem: string; hosts: Set<string>; all: boolean }>();
  readonly #problems: Problem[] = [];
  #default: { backend: string; alone: boolean } | undefined;

  constructor(objects: IngressObjects) {
    this.#objects = objects;
  }

  build(): Routing {
    const ingresses = [...this.#objects.ingresses].sort(byAge);
    for (const ingress of ingresses) {
      this.#addRules(ingress);
      this.#addTls(ingress);
    }
    // Last: the paths that rules name come first, whoever asks for them.
    for (const ingress of ingresses) this.#addDefault(ingress);
    return {
      hosts: this.#hosts,
      exact: this.#exact,
      prefix: this.#prefix,
      defaultBackend: this.#default?.backend,
      backends: this.#backends,
      certificates: [...this.#certificates].map(([secret, { pem, hosts, all }]) => ({
        secret,
        pem,
        hosts: all ? [] : [...hosts].sort(),
      })),
      problems: this.#problems,
    };
  }

  #problem(ingress: Ingress, reason: string, message: string): void {
    this.#problems.push({ ingress, reason, message });
  }

  #addRules(ingress: Ingress): void {
    for (const rule of ingress.spec.rules ?? []) {
      const host = hostKey(rule.host);
      for (const { path = '/', pathType, backend } of rule.http?.paths ?? []) {
        if (/[\s\0]/.test(path)) {
          this.#problem(ingress, 'InvalidPath', `path ${JSON.stringify(path)} holds white space and cannot match`);
          continue;
        }
        const target = this.#backend(ingress, backend);
        if (target === undefined) continue;
        this.#hosts.add(host);
        const [table, key] =
          pathType === 'Exact'
            ? [this.#exact, `${host}${path}`]
            : [this.#prefix, `${host}${path.replace(/\/+$/, '')}/`];
        const taken = table.get(key);
        if (taken === undefined) table.set(key, target);
        else if (taken !== target)
          this.#problem(ingress, 'PathConflict', `another rule already serves ${path} of host ${rule.host ?? '*'}`);
      }
    }
  }

  #addDefault(ingress: Ingress): void {
    const { defaultBackend, rules = [] } = ingress.spec;
    if (defaultBackend === undefined) return;
    const backend = this.#backend(ingress, defaultBackend);
    if (backend === undefined) return;
    for (const rule of rules) {
      const host = hostKey(rule.host);
      this.#hosts.add(host);
      if (!this.#prefix.has(`${host}/`)) this.#prefix.set(`${host}/`, backend);
    }
    // An Ingress that is nothing but a default backend means it for everybody.
    const alone = rules.length === 0;
    if (this.#default === undefined || (alone && !this.#default.alone)) this.#default = { backend, alone };
  }

  #addTls(ingress: Ingress): void {
    for (const { secretName, hosts = [] } of ingress.spec.tls ?? []) {
      if (secretName === undefined || secretName === '') continue;
      const key = `${ingress.metadata.namespace}/${secretName}`;
      const secret = this.#objects.secret(key);
      const pem = secret === undefined ? undefined : pemOf(secret);
      if (pem === undefined) {
        const why =
          secret === undefined
            ? 'does not exist or is not of type kubernetes.io/tls'
            : 'has no valid tls.crt and tls.key';
        this.#problem(ingress, 'InvalidTLSSecret', `secret ${key} ${why}`);
        continue;
      }
      let certificate = this.#certificates.get(key);
      if (certificate === undefined) {
        certificate = { pem, hosts: new Set(), all: false };
        this.#certificates.set(key, certificate);
      }
      for (const host of hosts) certificate.hosts.add(host.toLowerCase());
      if (hosts.length === 0) certificate.all = true;
    }
  }

  #backend(ingress: Ingress, backend: IngressBackend): string | undefined {
    if (backend.service === undefined) {
      this.#problem(
        ingress,
        'UnsupportedBackend',
        `backends of kind ${backend.resource?.kind ?? '?'} are not supported`,
      );
      return undefined;
    }
    const { name, port } = backend.service;
    const key = `${ingress.metadata.namespace}/${name}`;
    const id = `${ingress.metadata.namespace}_${name}_${port?.name ?? port?.number ?? 0}`;
    if (this.#backends.has(id)) return id;
    const service = this.#objects.service(key);
    const servicePort = service === undefined ? undefined : portOf(service, backend.service);
    if (service === undefined) this.#problem(ingress, 'ServiceNotFound', `service ${key} does not exist`);
    else if (service.spec.type === 'ExternalName')
      this.#problem(ingress, 'UnsupportedBackend', `service ${key} is of type ExternalName`);
    else if (servicePort === undefined)
      this.#problem(ingress, 'ServicePortNotFound', `service ${key} has no port ${port?.name ?? port?.number}`);
    // What cannot be resolved answers 503 until it can: another rule must not get its requests.
    this.#backends.set(id, servicePort === undefined ? [] : endpointsOf(servicePort, this.#objects.slicesOf(key)));
    return id;
  }
}

function hostKey(host: string | undefined): string {
  return host === undefined || host === '' ? anyHost : host.toLowerCase();
}

function portOf(service: Service, { port }: IngressServiceBackend): ServicePort | undefined {
  return service.spec.ports?.find((candidate) =>
    port?.name === undefined ? candidate.port === port?.number : candidate.name === port.name,
  );
}

function endpointsOf(port: ServicePort, slices: readonly EndpointSlice[]): Endpoint[] {
  const ready = new Map<string, Endpoint>();
  const terminating = new Map<string, Endpoint>();
  for (const slice of slices) {
    if (slice.addressType === 'FQDN') continue;
    const number = slice.ports?.find((candidate) => (candidate.name ?? '') === (port.name ?? ''))?.port;
    if (number === undefined) continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const address = addresses[0];
      if (address === undefined) continue;
      const endpoint = { address, port: number };
      if (conditions?.ready !== false) ready.set(`${address} ${number}`, endpoint);
      else if (conditions.serving === true) terminating.set(`${address} ${number}`, endpoint);
    }
  }
  // As the service proxy does: pods that are shutting down serve when there is no other.
  const chosen = ready.size > 0 ? ready : terminating;
  return [...chosen.values()].sort((a, b) =>
    a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port,
  );
}

function pemOf(secret: Secret): string | undefined {
  const part = (name: string): string =>
    Buffer.from(secret.data?.[name] ?? '', 'base64')
      .toString('utf8')
      .trim();
  const cert = part('tls.crt');
  const key = part('tls.key');
  try {
    // One bad certificate would keep the proxy from starting for all others.
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? `${cert}\n${key}\n` : undefined;
  } catch {
    return undefined; // Not PEM at all; the caller reports it.
  }
}
