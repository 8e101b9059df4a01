import type { Pod, Service } from '../../apimachinery/types/core-v1.ts';

/** `my-name` -> `MY_NAME`, as in variables that describe services. */
const variableName = (name: string): string => name.toUpperCase().replaceAll('-', '_');

const hasClusterIp = ({ spec }: Service): boolean =>
  spec?.clusterIP !== undefined && spec.clusterIP !== '' && spec.clusterIP !== 'None';

function describe(service: Service, into: Map<string, string>): void {
  const prefix = variableName(service.metadata?.name ?? '');
  const ip = service.spec?.clusterIP ?? '';
  const host = ip.includes(':') ? `[${ip}]` : ip;
  const ports = service.spec?.ports ?? [];
  into.set(`${prefix}_SERVICE_HOST`, ip);
  into.set(`${prefix}_SERVICE_PORT`, String(ports[0]?.port ?? ''));
  for (const { name, port } of ports)
    if (name !== undefined && name !== '') into.set(`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port));
  ports.forEach(({ port, protocol = 'TCP' }, index) => {
    const scheme = protocol.toLowerCase();
    const one = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    if (index === 0) into.set(`${prefix}_PORT`, `${scheme}://${host}:${port}`);
    into.set(one, `${scheme}://${host}:${port}`);
    into.set(`${one}_PROTO`, scheme);
    into.set(`${one}_PORT`, String(port));
    into.set(`${one}_ADDR`, ip);
  });
}

/**
 * The variables that tell a container of the Services of its namespace (unless `enableServiceLinks` is false), and always
 * of the API server's own.
 */
export function serviceEnvironment(pod: Pod, services: readonly Service[]): Map<string, string> {
  const namespace = pod.metadata?.namespace;
  const links = pod.spec?.enableServiceLinks ?? true;
  const visible = new Map<string, Service>();
  for (const service of services) {
    if (!hasClusterIp(service)) continue;
    const name = service.metadata?.name ?? '';
    const own = service.metadata?.namespace === namespace;
    const master = service.metadata?.namespace === 'default' && name === 'kubernetes';
    if (own && links) visible.set(name, service);
    else if (master && !visible.has(name)) visible.set(name, service);
  }
  const result = new Map<string, string>();
  for (const service of visible.values()) describe(service, result);
  return result;
}
