import type {
  Container,
  ContainerPort,
  EphemeralContainer,
  SecurityContext,
  Volume,
  VolumeMount,
} from '../../apimachinery/types/core-v1.ts';
import { validateEnv, validateEnvFrom } from './env.ts';
import {
  duplicate,
  type Errors,
  forbidden,
  invalid,
  invalidAll,
  notFound,
  notSupported,
  required,
} from './field-error.ts';
import { dns1123Label, portMessage, portName, validPort } from './names.ts';
import { userIdMessage, validateLifecycle, validateProbes } from './probes.ts';
import { validateResourceRequirements } from './resources.ts';
import { validateLocalPath } from './volumes.ts';

const protocols = ['SCTP', 'TCP', 'UDP'];
const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const messagePolicies = ['FallbackToLogsOnError', 'File'];

/** What the containers of one pod share. */
export interface PodFrame {
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly claimNames: ReadonlySet<string>;
  readonly gracePeriod: number | undefined;
  readonly neverRestarts: boolean;
  /** The pod is in the host's user namespace. */
  readonly hostUsers: boolean;
}

function validatePorts(ports: readonly ContainerPort[] | undefined, field: string, errors: Errors): void {
  if (ports === undefined) return;
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `${field}[${index}]`;
    if (port.name) {
      const messages = portName(port.name);
      if (messages.length > 0) invalidAll(errors, `${at}.name`, port.name, messages);
      else if (names.has(port.name)) duplicate(errors, `${at}.name`, port.name);
      else names.add(port.name);
    }
    if (!port.containerPort) required(errors, `${at}.containerPort`);
    else if (!validPort(port.containerPort)) invalid(errors, `${at}.containerPort`, port.containerPort, portMessage);
    if (port.hostPort && !validPort(port.hostPort)) invalid(errors, `${at}.hostPort`, port.hostPort, portMessage);
    if (!port.protocol) required(errors, `${at}.protocol`);
    else if (!protocols.includes(port.protocol)) notSupported(errors, `${at}.protocol`, port.protocol, protocols);
  }
}

const propagations = ['Bidirectional', 'HostToContainer', 'None'];

function validateMounts(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  field: string,
  errors: Errors,
): void {
  const at = `${field}.volumeMounts`;
  const { volumeMounts = [], volumeDevices = [] } = container;
  const paths = new Set<string>();
  for (const [index, mount] of volumeMounts.entries()) {
    const name = `${at}[${index}].name`;
    const path = `${at}[${index}].mountPath`;
    if (!mount.name) required(errors, name);
    if (!volumes.has(mount.name)) notFound(errors, name, mount.name);
    if (!mount.mountPath) required(errors, path);
    if (paths.has(mount.mountPath)) invalid(errors, path, mount.mountPath, 'must be unique');
    paths.add(mount.mountPath);
    for (const device of volumeDevices) {
      if (device.name === mount.name) invalid(errors, name, mount.name, 'must not already exist in volumeDevices');
      if (device.devicePath === mount.mountPath) {
        invalid(errors, path, mount.mountPath, 'must not already exist as a path in volumeDevices');
      }
    }
    validateSubPath(mount, at, index, errors);
    const { mountPropagation } = mount;
    if (mountPropagation === undefined) continue;
    if (!propagations.includes(mountPropagation)) {
      notSupported(errors, `${at}.mountPropagation`, mountPropagation, propagations);
    } else if (mountPropagation === 'Bidirectional' && container.securityContext?.privileged !== true) {
      forbidden(
        errors,
        `${at}.mountPropagation`,
        'Bidirectional mount propagation is available only to privileged containers',
      );
    }
  }
  if (volumeDevices.length > 0) validateDevices(container, volumes, `${field}.volumeDevices`, errors);
}

function validateDevices(
  { volumeMounts = [], volumeDevices = [] }: Container,
  volumes: ReadonlyMap<string, Volume>,
  field: string,
  errors: Errors,
): void {
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const [index, { name, devicePath }] of volumeDevices.entries()) {
    const at = `${field}[${index}]`;
    const volume = volumes.get(name);
    if (!name) required(errors, `${at}.name`);
    if (names.has(name)) invalid(errors, `${at}.name`, name, 'must be unique');
    if (volume === undefined) notFound(errors, `${at}.name`, name);
    else if (volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined) {
      const message = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      invalid(errors, `${at}.name`, name, message);
    }
    if (!devicePath) required(errors, `${at}.devicePath`);
    if (paths.has(devicePath)) invalid(errors, `${at}.devicePath`, devicePath, 'must be unique');
    if (devicePath?.split('/').includes('..')) {
      invalid(errors, `${at}.devicePath`, devicePath, "can not contain backsteps ('..')");
    } else paths.add(devicePath);
    for (const mount of volumeMounts) {
      if (mount.name === name) invalid(errors, `${at}.name`, name, 'must not already exist in volumeMounts');
      if (mount.mountPath === devicePath) {
        invalid(errors, `${at}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts');
      }
    }
    if (name) names.add(name);
  }
}

/** The path of the error is that of the list: so it is in the original. */
function validateSubPath({ subPath, subPathExpr }: VolumeMount, at: string, index: number, errors: Errors): void {
  if (subPath) validateLocalPath(subPath, `${at}.subPath`, errors);
  if (!subPathExpr) return;
  if (subPath) {
    invalid(errors, `${at}[${index}].subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive');
  }
  validateLocalPath(subPathExpr, `${at}.subPathExpr`, errors);
}

function validateResizePolicy(
  policies: Container['resizePolicy'],
  neverRestarts: boolean,
  field: string,
  errors: Errors,
): void {
  const seen = new Set<string>();
  for (const [index, { resourceName, restartPolicy }] of (policies ?? []).entries()) {
    if (seen.has(resourceName)) duplicate(errors, `${field}[${index}]`, resourceName);
    seen.add(resourceName);
    if (!resourceName) required(errors, field);
    else if (!['cpu', 'memory'].includes(resourceName)) notSupported(errors, field, resourceName, ['cpu', 'memory']);
    const supported = ['NotRequired', 'RestartContainer'];
    if (!restartPolicy) required(errors, field);
    else if (!supported.includes(restartPolicy)) notSupported(errors, field, restartPolicy, supported);
    if (neverRestarts && restartPolicy !== 'NotRequired') {
      invalid(errors, field, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
    }
  }
}

function validateSecurityContext(
  context: SecurityContext | undefined,
  hostUsers: boolean,
  field: string,
  errors: Errors,
): void {
  if (context === undefined) return;
  for (const name of ['runAsUser', 'runAsGroup'] as const) {
    const id = context[name];
    if (id !== undefined && (id < 0 || id > 0x7fffffff)) invalid(errors, `${field}.${name}`, id, userIdMessage);
  }
  if (context.procMount !== undefined && !['Default', 'Unmasked'].includes(context.procMount)) {
    notSupported(errors, `${field}.procMount`, context.procMount, ['Default', 'Unmasked']);
  } else if (context.procMount === 'Unmasked' && hostUsers) {
    invalid(errors, `${field}.procMount`, context.procMount, '`hostUsers` must be false to use `Unmasked`');
  }
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged === true) {
      invalid(errors, field, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true');
    }
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      invalid(
        errors,
        field,
        context,
        'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
      );
    }
  }
}

/** What holds for a container of any sort. */
function validateCommon(container: Container, field: string, frame: PodFrame, errors: Errors): void {
  if (!container.name) required(errors, `${field}.name`);
  else invalidAll(errors, `${field}.name`, container.name, dns1123Label(container.name));
  if (!container.image) required(errors, `${field}.image`);
  if (!container.terminationMessagePolicy) required(errors, `${field}.terminationMessagePolicy`);
  else if (!messagePolicies.includes(container.terminationMessagePolicy)) {
    notSupported(errors, `${field}.terminationMessagePolicy`, container.terminationMessagePolicy, messagePolicies);
  }
  validatePorts(container.ports, `${field}.ports`, errors);
  validateEnv(container.env, `${field}.env`, errors);
  validateEnvFrom(container.envFrom, `${field}.envFrom`, errors);
  validateMounts(container, frame.volumes, field, errors);
  if (!container.imagePullPolicy) required(errors, `${field}.imagePullPolicy`);
  else if (!pullPolicies.includes(container.imagePullPolicy)) {
    notSupported(errors, `${field}.imagePullPolicy`, container.imagePullPolicy, pullPolicies);
  }
  validateResourceRequirements(container.resources, `${field}.resources`, errors, frame.claimNames);
  if (container.resizePolicy !== undefined) {
    validateResizePolicy(container.resizePolicy, frame.neverRestarts, `${field}.resizePolicy`, errors);
  }
  validateSecurityContext(container.securityContext, frame.hostUsers, `${field}.securityContext`, errors);
}

/** One host port serves one container of a pod. */
function validateHostPorts(containers: readonly Container[], field: string, errors: Errors): void {
  const taken = new Set<string>();
  for (const [index, container] of containers.entries()) {
    for (const [place, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (taken.has(key)) duplicate(errors, `${field}[${index}].ports[${place}].hostPort`, key);
      taken.add(key);
    }
  }
}

export function validateContainers(
  containers: readonly Container[] | undefined,
  field: string,
  frame: PodFrame,
  errors: Errors,
): ReadonlySet<string> {
  const names = new Set<string>();
  if (containers === undefined || containers.length === 0) {
    required(errors, field);
    return names;
  }
  for (const [index, container] of containers.entries()) {
    const at = `${field}[${index}]`;
    validateCommon(container, at, frame, errors);
    if (names.has(container.name)) duplicate(errors, `${at}.name`, container.name);
    names.add(container.name);
    validateLifecycle(container.lifecycle, frame.gracePeriod, `${at}.lifecycle`, errors);
    validateProbes(container, at, errors);
  }
  validateHostPorts(containers, field, errors);
  return names;
}

const sidecarOnly = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const;

export function validateInitContainers(
  containers: readonly Container[] | undefined,
  regular: ReadonlySet<string>,
  field: string,
  frame: PodFrame,
  errors: Errors,
): void {
  const names = new Set(regular);
  for (const [index, container] of (containers ?? []).entries()) {
    const at = `${field}[${index}]`;
    validateCommon(container, at, frame, errors);
    if (container.name && names.has(container.name)) duplicate(errors, `${at}.name`, container.name);
    names.add(container.name);
    validateHostPorts([container], field, errors);
    if (container.restartPolicy === 'Always') {
      validateLifecycle(container.lifecycle, frame.gracePeriod, `${at}.lifecycle`, errors);
      validateProbes(container, at, errors);
      continue;
    }
    if (container.restartPolicy !== undefined && !['Never', 'OnFailure'].includes(container.restartPolicy)) {
      notSupported(errors, `${at}.restartPolicy`, container.restartPolicy, ['Always', 'Never', 'OnFailure']);
    }
    for (const name of sidecarOnly) {
      if (container[name] !== undefined) {
        forbidden(errors, `${at}.${name}`, 'may not be set for init containers without restartPolicy=Always');
      }
    }
  }
}

/** Fields a container added to a running pod may set. */
const ephemeralFields = new Set([
  'name',
  'image',
  'command',
  'args',
  'workingDir',
  'env',
  'envFrom',
  'volumeMounts',
  'volumeDevices',
  'terminationMessagePath',
  'terminationMessagePolicy',
  'imagePullPolicy',
  'securityContext',
  'stdin',
  'stdinOnce',
  'tty',
  'targetContainerName',
]);

export function validateEphemeralContainers(
  containers: readonly EphemeralContainer[] | undefined,
  others: ReadonlySet<string>,
  field: string,
  frame: PodFrame,
  errors: Errors,
): void {
  const names = new Set(others);
  for (const [index, container] of (containers ?? []).entries()) {
    const at = `${field}[${index}]`;
    validateCommon(container, at, frame, errors);
    if (names.has(container.name)) duplicate(errors, `${at}.name`, container.name);
    names.add(container.name);
    if (container.targetContainerName && !others.has(container.targetContainerName)) {
      notFound(errors, `${at}.targetContainerName`, container.targetContainerName);
    }
    for (const name of Object.keys(container)) {
      const value = container[name as keyof EphemeralContainer];
      if (ephemeralFields.has(name) || (name === 'resources' && Object.keys(value as object).length === 0)) continue;
      forbidden(errors, `${at}.${name}`, 'cannot be set for an Ephemeral Container');
    }
    for (const [place, mount] of (container.volumeMounts ?? []).entries()) {
      if (mount.subPath)
        forbidden(errors, `${at}.volumeMounts[${place}].subPath`, 'cannot be set for an Ephemeral Container');
      if (mount.subPathExpr) {
        forbidden(errors, `${at}.volumeMounts[${place}].subPathExpr`, 'cannot be set for an Ephemeral Container');
      }
    }
  }
}
