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

function validateMounts(
  container: Pick<Container, 'volumeMounts' | 'volumeDevices'>,
  volumes: ReadonlyMap<string, Volume>,
  field: string,
  errors: Errors,
): void {
  const paths = new Set<string>();
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${field}.volumeMounts[${index}]`;
    if (!mount.name) required(errors, `${at}.name`);
    if (!volumes.has(mount.name)) notFound(errors, `${at}.name`, mount.name);
    if (!mount.mountPath) required(errors, `${at}.mountPath`);
    if (paths.has(mount.mountPath)) invalid(errors, `${at}.mountPath`, mount.mountPath, 'must be unique');
    paths.add(mount.mountPath);
    validateSubPath(mount, at, errors);
  }
  for (const [index, device] of (container.volumeDevices ?? []).entries()) {
    const at = `${field}.volumeDevices[${index}]`;
    if (!device.name) required(errors, `${at}.name`);
    if (!device.devicePath) required(errors, `${at}.devicePath`);
    if (paths.has(device.devicePath))
      invalid(errors, `${at}.devicePath`, device.devicePath, 'must not already exist in volumeMounts');
    if (!volumes.has(device.name)) notFound(errors, `${at}.name`, device.name);
  }
}

function validateSubPath(mount: VolumeMount, at: string, errors: Errors): void {
  if (mount.subPath) validateLocalPath(mount.subPath, `${at}.subPath`, errors);
  if (mount.subPathExpr) {
    if (mount.subPath) {
      invalid(errors, `${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive');
    }
    validateLocalPath(mount.subPathExpr, `${at}.subPathExpr`, errors);
  }
}

function validateSecurityContext(context: SecurityContext | undefined, field: string, errors: Errors): void {
  if (context === undefined) return;
  for (const name of ['runAsUser', 'runAsGroup'] as const) {
    const id = context[name];
    if (id !== undefined && (id < 0 || id > 0x7fffffff)) invalid(errors, `${field}.${name}`, id, userIdMessage);
  }
  if (context.procMount !== undefined && !['Default', 'Unmasked'].includes(context.procMount)) {
    notSupported(errors, `${field}.procMount`, context.procMount, ['Default', 'Unmasked']);
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
  else if (container.image.trim() !== container.image) {
    invalid(errors, `${field}.image`, container.image, 'must not have leading or trailing whitespace');
  }
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
  validateSecurityContext(container.securityContext, `${field}.securityContext`, errors);
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
