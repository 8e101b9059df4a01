import type { Container, PodSpec } from '../../../apimachinery/types/core-v1.ts';
import type { ObjectMeta } from '../../../apimachinery/types/meta-v1.ts';
import type { Level, LevelVersion } from './policy.ts';

/** A broken rule: `reason (detail)` in the message. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

interface Subject {
  readonly spec: PodSpec;
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly Container[];
  readonly minor: number;
}

interface Check {
  readonly level: Exclude<Level, 'privileged'>;
  /** A stricter check of the level above takes its place there. */
  readonly overlaps?: boolean;
  /** First minor version whose standard has the rule. */
  readonly since: number;
  readonly check: (subject: Subject) => Violation | undefined;
}

type SecurityContext = NonNullable<Container['securityContext']>;

const quoted = (values: readonly string[]): string => values.map((value) => JSON.stringify(value)).join(', ');
const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many);
const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();
const containersNamed = (containers: readonly Container[]): string =>
  `${plural('container', 'containers', containers.length)} ${quoted(containers.map(({ name }) => name))}`;

/** `pod and containers "a", "b"`: those of the pod and its containers whose security context is `bad`. */
function setters({ spec, containers }: Subject, bad: (context: SecurityContext) => boolean): string[] {
  const pod = spec.securityContext !== undefined && bad(spec.securityContext as SecurityContext);
  const found = containers.filter(({ securityContext }) => securityContext !== undefined && bad(securityContext));
  return [...(pod ? ['pod'] : []), ...(found.length > 0 ? [containersNamed(found)] : [])];
}

function contexts({ spec, containers }: Subject): SecurityContext[] {
  return [spec.securityContext as SecurityContext | undefined, ...containers.map((c) => c.securityContext)].filter(
    (context) => context !== undefined,
  );
}

const isWindows = ({ spec, minor }: Subject): boolean => minor >= 25 && spec.os?.name === 'windows';
/** The user of a pod in a user namespace of its own is not the host's (KEP-127). */
const hasOwnUsers = ({ spec, minor }: Subject): boolean => minor >= 35 && spec.hostUsers === false;

const defaultCapabilities: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

/** Sysctls that concern the pod alone, by the minor version that added them to the standard. */
const safeSysctls: ReadonlyMap<string, number> = new Map([
  ['kernel.shm_rmid_forced', 0],
  ['net.ipv4.ip_local_port_range', 0],
  ['net.ipv4.tcp_syncookies', 0],
  ['net.ipv4.ping_group_range', 0],
  ['net.ipv4.ip_unprivileged_port_start', 0],
  ['net.ipv4.ip_local_reserved_ports', 27],
  ['net.ipv4.tcp_keepalive_time', 29],
  ['net.ipv4.tcp_fin_timeout', 29],
  ['net.ipv4.tcp_keepalive_intvl', 29],
  ['net.ipv4.tcp_keepalive_probes', 29],
  ['net.ipv4.tcp_rmem', 32],
  ['net.ipv4.tcp_wmem', 32],
]);

const seLinuxTypes: ReadonlyMap<string, number> = new Map([
  ['', 0],
  ['container_t', 0],
  ['container_init_t', 0],
  ['container_kvm_t', 0],
  ['container_engine_t', 31],
]);

const freeVolumeTypes: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

function appArmor(subject: Subject): Violation | undefined {
  const allowed = (value: string) => value === '' || value === 'runtime/default' || value.startsWith('localhost/');
  const annotations = Object.entries(subject.annotations)
    .filter(([key, value]) => key.startsWith(appArmorAnnotation) && !allowed(value))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort();
  const isBad = ({ appArmorProfile }: SecurityContext) =>
    appArmorProfile !== undefined && !['RuntimeDefault', 'Localhost'].includes(appArmorProfile.type);
  const bad = setters(subject, isBad);
  const values = sorted(
    contexts(subject)
      .filter(isBad)
      .map((context) => context.appArmorProfile!.type),
  );
  const count = annotations.length + values.length;
  if (count === 0) return undefined;
  const details = [
    ...(bad.length > 0 ? [`${bad.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`] : []),
    ...annotations,
  ];
  return {
    reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', count),
    detail: details.join(', '),
  };
}

function addedCapabilities(containers: readonly Container[], allowed: (name: string) => boolean): string | undefined {
  const added = (container: Container) =>
    (container.securityContext?.capabilities?.add ?? []).filter((name) => !allowed(name));
  const bad = containers.filter((container) => added(container).length > 0);
  if (bad.length === 0) return undefined;
  const names = sorted(bad.flatMap(added));
  return `${containersNamed(bad)} must not include ${quoted(names)} in securityContext.capabilities.add`;
}

function hostNamespaces({ spec }: Subject): Violation | undefined {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name] === true);
  if (used.length === 0) return undefined;
  return { reason: 'host namespaces', detail: used.map((name) => `${name}=true`).join(', ') };
}

function hostPaths({ spec }: Subject): Violation | undefined {
  const names = (spec.volumes ?? []).filter((volume) => volume.hostPath !== undefined).map(({ name }) => name);
  if (names.length === 0) return undefined;
  return { reason: 'hostPath volumes', detail: `${plural('volume', 'volumes', names.length)} ${quoted(names)}` };
}

function hostPorts({ containers }: Subject): Violation | undefined {
  const ports = (container: Container) =>
    (container.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : []));
  const bad = containers.filter((container) => ports(container).length > 0);
  if (bad.length === 0) return undefined;
  const used = sorted(bad.flatMap(ports));
  const verb = plural('uses', 'use', bad.length);
  const what = plural('hostPort', 'hostPorts', used.length);
  return { reason: 'hostPort', detail: `${containersNamed(bad)} ${verb} ${what} ${used.join(', ')}` };
}

function probeHosts({ containers }: Subject): Violation | undefined {
  const hosts = ({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container) =>
    [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop].flatMap((handler) =>
      [handler?.httpGet?.host, handler?.tcpSocket?.host].filter((host) => host !== undefined && host !== ''),
    ) as string[];
  const bad = containers.filter((container) => hosts(container).length > 0);
  if (bad.length === 0) return undefined;
  const used = sorted(bad.flatMap(hosts));
  const verb = plural('uses', 'use', bad.length);
  const what = plural('probe or lifecycle host', 'probe or lifecycle hosts', used.length);
  return { reason: 'probe or lifecycle host', detail: `${containersNamed(bad)} ${verb} ${what} ${quoted(used)}` };
}

function privileged({ containers }: Subject): Violation | undefined {
  const bad = containers.filter(({ securityContext }) => securityContext?.privileged === true);
  if (bad.length === 0) return undefined;
  return { reason: 'privileged', detail: `${containersNamed(bad)} must not set securityContext.privileged=true` };
}

function procMount(subject: Subject): Violation | undefined {
  if (hasOwnUsers(subject)) return undefined;
  const bad = subject.containers.filter(
    ({ securityContext }) => (securityContext?.procMount ?? 'Default') !== 'Default',
  );
  if (bad.length === 0) return undefined;
  const types = sorted(bad.map(({ securityContext }) => securityContext!.procMount!));
  return {
    reason: 'procMount',
    detail: `${containersNamed(bad)} must not set securityContext.procMount to ${quoted(types)}`,
  };
}

function seLinux(subject: Subject): Violation | undefined {
  const badType = (type = '') =>
    subject.minor < (seLinuxTypes.get(type) ?? Number.POSITIVE_INFINITY) || !seLinuxTypes.has(type);
  const isBad = ({ seLinuxOptions: options }: SecurityContext) =>
    options !== undefined && (badType(options.type) || !!options.user || !!options.role);
  const bad = setters(subject, isBad);
  if (bad.length === 0) return undefined;
  const options = contexts(subject).flatMap(({ seLinuxOptions }) =>
    seLinuxOptions === undefined ? [] : [seLinuxOptions],
  );
  const types = sorted(options.flatMap(({ type }) => (badType(type) ? [type ?? ''] : [])));
  const data = [
    ...(types.length > 0 ? [`${plural('type', 'types', types.length)} ${quoted(types)}`] : []),
    ...(options.some(({ user }) => !!user) ? ['user may not be set'] : []),
    ...(options.some(({ role }) => !!role) ? ['role may not be set'] : []),
  ];
  return {
    reason: 'seLinuxOptions',
    detail: `${bad.join(' and ')} set forbidden securityContext.seLinuxOptions: ${data.join('; ')}`,
  };
}

const isGoodSeccomp = (type: string): boolean => type === 'RuntimeDefault' || type === 'Localhost';

function badSeccomp(subject: Subject): Violation | undefined {
  const isBad = ({ seccompProfile }: SecurityContext) =>
    seccompProfile !== undefined && !isGoodSeccomp(seccompProfile.type);
  const bad = setters(subject, isBad);
  if (bad.length === 0) return undefined;
  const values = sorted(
    contexts(subject)
      .filter(isBad)
      .map((context) => context.seccompProfile!.type),
  );
  return {
    reason: 'seccompProfile',
    detail: `${bad.join(' and ')} must not set securityContext.seccompProfile.type to ${quoted(values)}`,
  };
}

function missingSeccomp(subject: Subject): Violation | undefined {
  if (isWindows(subject)) return undefined;
  const bad = badSeccomp(subject);
  if (bad !== undefined) return bad;
  if (subject.spec.securityContext?.seccompProfile !== undefined) return undefined;
  const unset = subject.containers.filter(({ securityContext }) => securityContext?.seccompProfile === undefined);
  if (unset.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `pod or ${containersNamed(unset)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
}

function sysctls({ spec, minor }: Subject): Violation | undefined {
  const forbidden = (spec.securityContext?.sysctls ?? [])
    .map(({ name }) => name)
    .filter((name) => !safeSysctls.has(name) || minor < safeSysctls.get(name)!);
  return forbidden.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: forbidden.join(', ') };
}

function windowsHostProcess(subject: Subject): Violation | undefined {
  const bad = setters(subject, ({ windowsOptions }) => windowsOptions?.hostProcess === true);
  if (bad.length === 0) return undefined;
  return {
    reason: 'hostProcess',
    detail: `${bad.join(' and ')} must not set securityContext.windowsOptions.hostProcess=true`,
  };
}

function privilegeEscalation(subject: Subject): Violation | undefined {
  if (isWindows(subject)) return undefined;
  const bad = subject.containers.filter(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
  if (bad.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containersNamed(bad)} must set securityContext.allowPrivilegeEscalation=false`,
  };
}

function restrictedCapabilities(subject: Subject): Violation | undefined {
  if (isWindows(subject)) return undefined;
  const { containers } = subject;
  const missing = containers.filter(
    ({ securityContext }) => securityContext?.capabilities?.drop?.includes('ALL') !== true,
  );
  const added = addedCapabilities(containers, (name) => name === 'NET_BIND_SERVICE');
  const details = [
    ...(missing.length > 0 ? [`${containersNamed(missing)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(added === undefined ? [] : [added]),
  ];
  return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') };
}

function restrictedVolumes({ spec }: Subject): Violation | undefined {
  const typeOf = (volume: object) => Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
  const bad = (spec.volumes ?? []).filter((volume) => !freeVolumeTypes.has(typeOf(volume)));
  if (bad.length === 0) return undefined;
  const types = sorted(bad.map(typeOf));
  const volumes = `${plural('volume', 'volumes', bad.length)} ${quoted(bad.map(({ name }) => name))}`;
  const what = plural('restricted volume type', 'restricted volume types', types.length);
  return {
    reason: 'restricted volume types',
    detail: `${volumes} ${plural('uses', 'use', bad.length)} ${what} ${quoted(types)}`,
  };
}

function runAsNonRoot(subject: Subject): Violation | undefined {
  if (hasOwnUsers(subject)) return undefined;
  const reason = 'runAsNonRoot != true';
  const bad = setters(subject, (context) => context.runAsNonRoot === false);
  if (bad.length > 0) {
    return { reason, detail: `${bad.join(' and ')} must not set securityContext.runAsNonRoot=false` };
  }
  if (subject.spec.securityContext?.runAsNonRoot === true) return undefined;
  const unset = subject.containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === undefined);
  if (unset.length === 0) return undefined;
  return { reason, detail: `pod or ${containersNamed(unset)} must set securityContext.runAsNonRoot=true` };
}

function runAsUser(subject: Subject): Violation | undefined {
  if (hasOwnUsers(subject)) return undefined;
  const bad = setters(subject, (context) => context.runAsUser === 0);
  return bad.length === 0
    ? undefined
    : { reason: 'runAsUser=0', detail: `${bad.join(' and ')} must not set runAsUser=0` };
}

/** In the order in which Kubernetes names them. */
const checks: readonly Check[] = [
  { level: 'baseline', since: 0, check: appArmor },
  {
    level: 'baseline',
    overlaps: true,
    since: 0,
    check: ({ containers }) => {
      const detail = addedCapabilities(containers, (name) => defaultCapabilities.has(name));
      return detail === undefined ? undefined : { reason: 'non-default capabilities', detail };
    },
  },
  { level: 'baseline', since: 0, check: hostNamespaces },
  { level: 'baseline', since: 0, check: hostPaths },
  { level: 'baseline', since: 0, check: hostPorts },
  { level: 'baseline', since: 34, check: probeHosts },
  { level: 'baseline', since: 0, check: privileged },
  { level: 'baseline', since: 0, check: procMount },
  { level: 'baseline', since: 0, check: seLinux },
  { level: 'baseline', overlaps: true, since: 19, check: badSeccomp },
  { level: 'baseline', since: 0, check: sysctls },
  { level: 'baseline', since: 0, check: windowsHostProcess },
  { level: 'restricted', since: 8, check: privilegeEscalation },
  { level: 'restricted', since: 22, check: restrictedCapabilities },
  { level: 'restricted', since: 0, check: restrictedVolumes },
  { level: 'restricted', since: 0, check: runAsNonRoot },
  { level: 'restricted', since: 23, check: runAsUser },
  { level: 'restricted', since: 19, check: missingSeccomp },
];

/** The rules of a standard that a pod, or the pods of a template, would break. */
export function violations(
  { level, minor }: LevelVersion,
  metadata: ObjectMeta | undefined,
  spec: PodSpec,
): readonly Violation[] {
  if (level === 'privileged') return [];
  const containers = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as Container[]),
  ];
  const subject: Subject = { spec, annotations: metadata?.annotations ?? {}, containers, minor };
  const applies = ({ level: of, overlaps, since }: Check) =>
    minor >= since && (level === 'baseline' ? of === 'baseline' : of === 'restricted' || overlaps !== true);
  const ordered = checks.filter(applies);
  // Of a baseline, those that the restricted level replaces come last.
  return [
    ...ordered.filter(({ overlaps }) => overlaps !== true),
    ...ordered.filter(({ overlaps }) => overlaps === true),
  ].flatMap(({ check }) => check(subject) ?? []);
}
