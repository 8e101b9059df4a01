import {
  LinuxContainerSecurityContext,
  type LinuxSandboxSecurityContext,
  NamespaceMode,
  type NamespaceOption,
  SecurityProfile_ProfileType as ProfileType,
  LinuxSandboxSecurityContext as SandboxContext,
  SecurityProfile,
  SupplementalGroupsPolicy,
} from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod, SeccompProfile, SecurityContext } from '../../apimachinery/types/core-v1.ts';
import type { Image } from '../runtime.ts';
import { formatPod } from './labels.ts';

/** Hidden from containers, or shown read-only, unless `procMount` is Unmasked or they are privileged. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** A container's own settings over those of its pod. */
export function effectiveSecurityContext(pod: Pod, container: Container): SecurityContext {
  const { runAsUser, runAsGroup, runAsNonRoot, seLinuxOptions, seccompProfile, appArmorProfile } =
    pod.spec?.securityContext ?? {};
  const defined = Object.fromEntries(
    Object.entries(container.securityContext ?? {}).filter(([, value]) => value !== undefined),
  ) as SecurityContext;
  return {
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    ...(runAsNonRoot === undefined ? {} : { runAsNonRoot }),
    ...(seLinuxOptions === undefined ? {} : { seLinuxOptions }),
    ...(seccompProfile === undefined ? {} : { seccompProfile }),
    ...(appArmorProfile === undefined ? {} : { appArmorProfile }),
    ...defined,
  };
}

function securityProfile(profile: SeccompProfile | undefined, directory: string): SecurityProfile {
  const types: Record<string, ProfileType> = {
    RuntimeDefault: ProfileType.RuntimeDefault,
    Localhost: ProfileType.Localhost,
  };
  const profileType = types[profile?.type ?? ''] ?? ProfileType.Unconfined;
  const localhostRef = profileType === ProfileType.Localhost ? `${directory}${profile?.localhostProfile ?? ''}` : '';
  return SecurityProfile.fromPartial({ profileType, localhostRef });
}

export function namespaceOptions(pod: Pod, targetId?: string): NamespaceOption {
  const { hostNetwork, hostIPC, hostPID, shareProcessNamespace } = pod.spec ?? {};
  const pid = hostPID === true ? NamespaceMode.NODE : shareProcessNamespace === true ? NamespaceMode.POD : undefined;
  return {
    network: hostNetwork === true ? NamespaceMode.NODE : NamespaceMode.POD,
    ipc: hostIPC === true ? NamespaceMode.NODE : NamespaceMode.POD,
    // A debugging container joins the processes of the one it looks at.
    pid: pid ?? (targetId === undefined ? NamespaceMode.CONTAINER : NamespaceMode.TARGET),
    targetId: targetId ?? '',
    usernsOptions: undefined,
  };
}

function supplementalGroups(pod: Pod): bigint[] {
  const { supplementalGroups: groups = [], fsGroup } = pod.spec?.securityContext ?? {};
  return [...groups, ...(fsGroup === undefined ? [] : [fsGroup])].map(BigInt);
}

const groupsPolicy = (pod: Pod): SupplementalGroupsPolicy =>
  pod.spec?.securityContext?.supplementalGroupsPolicy === 'Strict'
    ? SupplementalGroupsPolicy.Strict
    : SupplementalGroupsPolicy.Merge;

export function sandboxSecurityContext(pod: Pod): LinuxSandboxSecurityContext {
  const { runAsUser, runAsGroup } = pod.spec?.securityContext ?? {};
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return SandboxContext.fromPartial({
    namespaceOptions: namespaceOptions(pod),
    privileged: all.some((one) => one.securityContext?.privileged === true),
    ...(runAsUser === undefined ? {} : { runAsUser: { value: BigInt(runAsUser) } }),
    // The runtime refuses a group without a user, which only concerns the pause process here.
    ...(runAsGroup === undefined || runAsUser === undefined ? {} : { runAsGroup: { value: BigInt(runAsGroup) } }),
    supplementalGroups: supplementalGroups(pod),
    supplementalGroupsPolicy: groupsPolicy(pod),
    seccomp: { profileType: ProfileType.RuntimeDefault, localhostRef: '' },
  });
}

/** Throws, with the message of CreateContainerConfigError, when `runAsNonRoot` is set and the container would run as root. */
export function verifyRunAsNonRoot(pod: Pod, container: Container, image: Image): void {
  const { runAsNonRoot, runAsUser } = effectiveSecurityContext(pod, container);
  if (runAsNonRoot !== true) return;
  const where = `(pod: ${JSON.stringify(formatPod(pod))}, container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw new Error(`container's runAsUser breaks non-root policy ${where}`);
    return;
  }
  if (image.username !== '')
    throw new Error(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`,
    );
  if (image.uid === undefined || image.uid.value === 0n)
    throw new Error(`container has runAsNonRoot and image will run as root ${where}`);
}

export interface SecurityOptions {
  readonly pod: Pod;
  readonly container: Container;
  readonly image: Image;
  /** Where `Localhost` seccomp profiles are; ends in a slash. */
  readonly seccompDirectory: string;
  /** Container whose processes an ephemeral container shares. */
  readonly targetId?: string;
}

export function containerSecurityContext(options: SecurityOptions): LinuxContainerSecurityContext {
  const { pod, container, image } = options;
  const context = effectiveSecurityContext(pod, container);
  const { capabilities, privileged = false, seLinuxOptions } = context;
  const unmasked = privileged || context.procMount === 'Unmasked';
  // Without a user in the spec, that of the image.
  const user =
    context.runAsUser !== undefined
      ? { runAsUser: { value: BigInt(context.runAsUser) } }
      : image.uid !== undefined
        ? { runAsUser: { value: image.uid.value } }
        : { runAsUsername: image.username };
  const profile = context.appArmorProfile;
  return LinuxContainerSecurityContext.fromPartial({
    ...user,
    ...(context.runAsGroup === undefined ? {} : { runAsGroup: { value: BigInt(context.runAsGroup) } }),
    privileged,
    capabilities: {
      addCapabilities: capabilities?.add ?? [],
      dropCapabilities: capabilities?.drop ?? [],
      addAmbientCapabilities: [],
    },
    ...(seLinuxOptions === undefined
      ? {}
      : { selinuxOptions: { user: '', role: '', type: '', level: '', ...seLinuxOptions } }),
    namespaceOptions: namespaceOptions(pod, options.targetId),
    readonlyRootfs: context.readOnlyRootFilesystem ?? false,
    supplementalGroups: supplementalGroups(pod),
    supplementalGroupsPolicy: groupsPolicy(pod),
    noNewPrivs: context.allowPrivilegeEscalation === false,
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    seccomp: privileged
      ? securityProfile(undefined, '')
      : securityProfile(context.seccompProfile, options.seccompDirectory),
    ...(profile === undefined ? {} : { apparmor: securityProfile(profile, '') }),
  });
}
