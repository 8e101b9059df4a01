import { join } from 'node:path';
import type { Endpoint, Routing } from './routing.ts';

export interface HaproxySettings {
  /** Directory that the files below are written to. */
  readonly directory: string;
  readonly socket: string;
  /** 0: not at all. */
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly metricsPort: number;
  /** False where the kernel has none. */
  readonly ipv6: boolean;
  /** User and group to become; absent: stays who it is. */
  readonly user?: string;
}

/** Places for endpoints in each backend; those in use are set over the stats socket. */
export type Slots = ReadonlyMap<string, number>;

/** Slots of a backend come in powers of two and are never taken away: few changes of endpoints need another configuration. */
export function slotsFor(routing: Routing, before: Slots): Slots {
  const slots = new Map<string, number>();
  for (const [backend, endpoints] of routing.backends) {
    let count = before.get(backend) ?? 4;
    while (count < endpoints.length) count *= 2;
    slots.set(backend, count);
  }
  return slots;
}

export const slotName = (index: number): string => `s${index + 1}`;

const unusedAddress = '127.0.0.1:9';

/**
 * The files of one configuration, by name. `assigned` are the endpoints in the slots of each backend: they are what a start
 * begins with, and no part of the structure (compare the text for no endpoints to find whether a reload is due).
 */
export function renderHaproxy(
  routing: Routing,
  slots: Slots,
  assigned: ReadonlyMap<string, readonly (Endpoint | undefined)[]>,
  settings: HaproxySettings,
  defaultCertificate: string,
): ReadonlyMap<string, string> {
  const file = (name: string): string => join(settings.directory, name);
  const files = new Map<string, string>();
  const map = (entries: Iterable<readonly [string, string]>): string =>
    [...entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key} ${value}\n`)
      .join('');
  const names = [...routing.hosts].filter((host) => !host.startsWith('*'));
  const wildcards = [...routing.hosts].filter((host) => host.startsWith('*.'));
  files.set('hosts.map', map(names.map((host) => [host, host])));
  files.set('wildcards.map', map(wildcards.map((host) => [host.slice(1), host])));
  files.set('exact.map', map(routing.exact));
  files.set('prefix.map', map(routing.prefix));

  const tls = settings.httpsPort > 0;
  const any = settings.ipv6 ? ':::' : '*:';
  const both = settings.ipv6 ? ' v4v6' : '';
  if (tls) {
    files.set('default.pem', defaultCertificate);
    // The first one answers clients that name no server that we know.
    const list = [`${file('default.pem')} !*`];
    for (const { secret, pem, hosts } of routing.certificates) {
      const name = `${secret.replace('/', '_')}.pem`;
      files.set(name, pem);
      list.push([file(name), ...hosts].join(' '));
    }
    files.set('certificates.list', `${list.join('\n')}\n`);
  }

  files.set(
    'haproxy.cfg',
    `# Written by balsad; changes are lost.
global
  stats socket ${settings.socket} mode 600 level admin expose-fd listeners
  no strict-limits
  maxconn 10000
  hard-stop-after 30m
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.ssl.default-dh-param 2048
${settings.user === undefined ? '' : `  user ${settings.user}\n  group ${settings.user}\n`}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout http-request 30s
  timeout http-keep-alive 60s
  option redispatch
  retries 3
  retry-on conn-failure empty-response
${settings.metricsPort > 0 ? metricsFrontend(settings.metricsPort) : ''}
frontend ingress
${settings.httpPort > 0 ? `  bind ${any}${settings.httpPort}${both}\n` : ''}${
  tls ? `  bind ${any}${settings.httpsPort}${both} ssl crt-list ${file('certificates.list')} alpn h2,http/1.1\n` : ''
}  option forwardfor
  http-request set-var(txn.path) path
  http-request set-var(txn.name) req.hdr(host),field(1,:),lower
  http-request set-var(txn.host) var(txn.name),map_str(${file('hosts.map')})
  http-request set-var(txn.host) var(txn.name),regsub(^[^.]+,),map_str(${file('wildcards.map')}) if !{ var(txn.host) -m found }
  http-request set-var(txn.host) str(*) if !{ var(txn.host) -m found }
  http-request set-var(txn.exact) var(txn.host),concat(,txn.path)
  http-request set-var(txn.prefix) var(txn.exact),concat(/)
  http-request set-var(txn.backend) var(txn.exact),map_str(${file('exact.map')})
  http-request set-var(txn.backend) var(txn.prefix),map_beg(${file('prefix.map')}) if !{ var(txn.backend) -m found }
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http unless { ssl_fc }
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Port %[dst_port]
  use_backend %[var(txn.backend)] if { var(txn.backend) -m found }
  default_backend ${routing.defaultBackend ?? 'not.found'}

# No name of a Service holds a dot.
backend not.found
  http-request return status 404 content-type text/plain string "404 page not found"

${[...slots]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([backend, count]) => backendSection(backend, count, assigned.get(backend) ?? []))
  .join('\n')}`,
  );
  return files;
}

function metricsFrontend(port: number): string {
  return `
frontend metrics
  bind 127.0.0.1:${port}
  monitor-uri /healthz
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 404
`;
}

function backendSection(name: string, count: number, assigned: readonly (Endpoint | undefined)[]): string {
  const lines = [`backend ${name}`, '  balance roundrobin'];
  for (let index = 0; index < count; index++) {
    const endpoint = assigned[index];
    lines.push(
      `  server ${slotName(index)} ${endpoint === undefined ? `${unusedAddress} disabled` : socketAddress(endpoint)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function socketAddress({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Puts each endpoint into a slot of its backend; those that stay keep theirs. `commands` bring a running process from
 * `before` to the result.
 */
export function assignSlots(
  backend: string,
  count: number,
  endpoints: readonly Endpoint[],
  before: readonly (Endpoint | undefined)[],
): { readonly assigned: readonly (Endpoint | undefined)[]; readonly commands: readonly string[] } {
  const wanted = new Map(endpoints.map((endpoint) => [socketAddress(endpoint), endpoint]));
  const assigned: (Endpoint | undefined)[] = [];
  for (let index = 0; index < count; index++) {
    const kept = before[index];
    const stays = kept !== undefined && wanted.delete(socketAddress(kept));
    assigned.push(stays ? kept : undefined);
  }
  const commands: string[] = [];
  const added = [...wanted.values()];
  for (let index = 0; index < count; index++) {
    if (assigned[index] !== undefined) continue;
    const server = `${backend}/${slotName(index)}`;
    const endpoint = added.shift();
    if (endpoint !== undefined) {
      assigned[index] = endpoint;
      commands.push(
        `set server ${server} addr ${endpoint.address} port ${endpoint.port}`,
        `set server ${server} state ready`,
      );
    } else if (before[index] !== undefined) commands.push(`set server ${server} state maint`);
  }
  if (added.length > 0) throw new Error(`backend ${backend} has no slot for ${added.length} endpoints`);
  return { assigned, commands };
}
