import type { PodSpec, PodTemplateSpec } from '../../apimachinery/types/core-v1.ts';
import {
  type PodFrame,
  validateContainers,
  validateEphemeralContainers,
  validateInitContainers,
} from './containers.ts';
import { duplicate, type Errors, forbidden, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { dns1123Label, dns1123Subdomain, ipMessage, isIp, qualifiedName } from './names.ts';
import { validateAnnotations, validateLabels } from './object-meta.ts';
import { userIdMessage } from './probes.ts';
import { validateResourceRequirements } from './resources.ts';
import { deadlineMessage, validateAffinity, validateTolerations, validateTopologySpread } from './scheduling.ts';
import { validateVolumes } from './volumes.ts';

const restartPolicies = ['Always', 'OnFailure', 'Never'];
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const noClaims: ReadonlySet<string> = new Set();

function validateEnum(value: string | undefined, supported: readonly string[], field: string, errors: Errors): void {
  if (!value) required(errors, field);
  else if (!supported.includes(value)) notSupported(errors, field, value, supported);
}

function validateDns(spec: PodSpec, field: string, errors: Errors): void {
  const { dnsConfig, dnsPolicy } = spec;
  const at = `${field}.dnsConfig`;
  if (dnsPolicy === 'None') {
    if (dnsConfig === undefined) {
      required(errors, at, 'must provide `dnsConfig` when `dnsPolicy` is None');
      return;
    }
    if ((dnsConfig.nameservers?.length ?? 0) === 0) {
      required(errors, `${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None');
      return;
    }
  }
  if (dnsConfig === undefined) return;
  const { nameservers = [], searches = [], options = [] } = dnsConfig;
  if (nameservers.length > 3)
    invalid(errors, `${at}.nameservers`, nameservers, 'must not have more than 3 nameservers');
  for (const [index, server] of nameservers.entries()) {
    if (!isIp(server)) invalid(errors, `${at}.nameservers[${index}]`, server, ipMessage);
  }
  if (searches.length > 32) invalid(errors, `${at}.searches`, searches, 'must not have more than 32 search paths');
  for (const [index, option] of options.entries()) {
    if (!option.name) required(errors, `${at}.options[${index}]`, 'must not be empty');
  }
}

function validateSecurityContext(spec: PodSpec, field: string, errors: Errors): void {
  const context = spec.securityContext;
  if (context === undefined) return;
  for (const name of ['fsGroup', 'runAsUser', 'runAsGroup'] as const) {
    const id = context[name];
    if (id !== undefined && (id < 0 || id > 0x7fffffff)) invalid(errors, `${field}.${name}`, id, userIdMessage);
  }
  for (const [index, group] of (context.supplementalGroups ?? []).entries()) {
    if (group < 0 || group > 0x7fffffff) invalid(errors, `${field}.supplementalGroups[${index}]`, group, userIdMessage);
  }
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    invalid(errors, `${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled');
  }
  const names = new Set<string>();
  for (const [index, { name }] of (context.sysctls ?? []).entries()) {
    if (!name) required(errors, `${field}.sysctls[${index}].name`);
    else if (names.has(name)) duplicate(errors, `${field}.sysctls[${index}].name`, name);
    names.add(name);
  }
}

function validateHostNetwork(spec: PodSpec, field: string, isPod: boolean, errors: Errors): void {
  if (spec.hostNetwork !== true) return;
  for (const [index, container] of spec.containers.entries()) {
    for (const [place, { hostPort = 0, containerPort }] of (container.ports ?? []).entries()) {
      if ((isPod || hostPort !== 0) && hostPort !== containerPort) {
        const at = `${field}.containers[${index}].ports[${place}].hostPort`;
        invalid(errors, at, hostPort, 'must match `containerPort` when `hostNetwork` is true');
      }
    }
  }
}

type ResourceClaims = NonNullable<PodSpec['resourceClaims']>;

function validateClaims(claims: ResourceClaims, field: string, errors: Errors): void {
  const names = new Set<string>();
  for (const [index, claim] of claims.entries()) {
    const at = `${field}[${index}]`;
    if (!claim.name) required(errors, `${at}.name`);
    else if (names.has(claim.name)) duplicate(errors, `${at}.name`, claim.name);
    else invalidAll(errors, `${at}.name`, claim.name, dns1123Label(claim.name));
    names.add(claim.name);
    const { resourceClaimName, resourceClaimTemplateName } = claim;
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      invalid(errors, at, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified');
    }
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      invalid(errors, at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`');
    }
  }
}

/** A pod in a user namespace of its own shares none of the host's. */
function validateHostUsers(spec: PodSpec, field: string, errors: Errors): void {
  if (spec.hostUsers !== false) return;
  const message = 'when `pod.Spec.HostUsers` is false';
  if (spec.hostNetwork === true) forbidden(errors, `${field}.hostNetwork`, message);
  if (spec.hostPID === true) forbidden(errors, `${field}.HostPID`, message);
  if (spec.hostIPC === true) forbidden(errors, `${field}.HostIPC`, message);
}

/** `isPod`: false for the spec of a template. */
export function validatePodSpec(spec: PodSpec, field: string, isPod: boolean, errors: Errors): void {
  const volumes = validateVolumes(spec.volumes, `${field}.volumes`, errors);
  const claimNames =
    spec.resourceClaims === undefined ? noClaims : new Set(spec.resourceClaims.map(({ name }) => name));
  const frame: PodFrame = {
    volumes,
    claimNames,
    gracePeriod: spec.terminationGracePeriodSeconds,
    neverRestarts: spec.restartPolicy === 'Never',
    hostUsers: spec.hostUsers !== false,
  };
  const names = validateContainers(spec.containers, `${field}.containers`, frame, errors);
  if (spec.initContainers !== undefined) {
    validateInitContainers(spec.initContainers, names, `${field}.initContainers`, frame, errors);
  }
  if (spec.ephemeralContainers !== undefined) {
    const others = new Set([...names, ...(spec.initContainers ?? []).map(({ name }) => name)]);
    validateEphemeralContainers(spec.ephemeralContainers, others, `${field}.ephemeralContainers`, frame, errors);
  }
  if (spec.resourceClaims !== undefined) validateClaims(spec.resourceClaims, `${field}.resourceClaims`, errors);
  if (spec.resources !== undefined) validateResourceRequirements(spec.resources, `${field}.resources`, errors);
  validateHostNetwork(spec, field, isPod, errors);
  validateEnum(spec.restartPolicy, restartPolicies, `${field}.restartPolicy`, errors);
  validateEnum(spec.dnsPolicy, dnsPolicies, `${field}.dnsPolicy`, errors);
  validateLabels(spec.nodeSelector, `${field}.nodeSelector`, errors);
  validateSecurityContext(spec, `${field}.securityContext`, errors);
  validateAffinity(spec.affinity, `${field}.affinity`, errors);
  validateDns(spec, field, errors);
  for (const [index, gate] of (spec.readinessGates ?? []).entries()) {
    invalidAll(
      errors,
      `${field}.readinessGates[${index}].conditionType`,
      gate.conditionType,
      qualifiedName(gate.conditionType),
    );
  }
  const gates = new Set<string>();
  for (const [index, { name }] of (spec.schedulingGates ?? []).entries()) {
    invalidAll(errors, `${field}.schedulingGates[${index}]`, name, qualifiedName(name));
    if (gates.has(name)) duplicate(errors, `${field}.schedulingGates[${index}]`, name);
    gates.add(name);
  }
  validateTopologySpread(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`, errors);
  validateHostUsers(spec, field, errors);
  for (const [name, check] of optionalNames) {
    const value = spec[name];
    if (value) invalidAll(errors, `${field}.${name}`, value, check(value));
  }
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 0x7fffffff)) {
    invalid(errors, `${field}.activeDeadlineSeconds`, deadline, deadlineMessage);
  }
  validateTolerations(spec.tolerations, `${field}.tolerations`, errors);
  for (const [index, { ip, hostnames = [] }] of (spec.hostAliases ?? []).entries()) {
    if (!isIp(ip)) invalid(errors, `${field}.hostAliases[${index}].ip`, ip, ipMessage);
    for (const [place, name] of hostnames.entries()) {
      invalidAll(errors, `${field}.hostAliases[${index}].hostnames[${place}]`, name, dns1123Subdomain(name));
    }
  }
  if (spec.preemptionPolicy !== undefined) {
    validateEnum(spec.preemptionPolicy, ['PreemptLowerPriority', 'Never'], `${field}.preemptionPolicy`, errors);
  }
  if (spec.os !== undefined) {
    if (!spec.os.name) required(errors, `${field}.os.name`, 'cannot be empty');
    else if (!['linux', 'windows'].includes(spec.os.name)) {
      notSupported(errors, `${field}.os`, spec.os.name, ['linux', 'windows']);
    }
  }
}

const optionalNames = [
  ['serviceAccountName', dns1123Subdomain],
  ['nodeName', dns1123Subdomain],
  ['hostname', dns1123Label],
  ['subdomain', dns1123Label],
  ['priorityClassName', dns1123Subdomain],
  ['runtimeClassName', dns1123Subdomain],
] as const;

export function validatePodTemplate(template: PodTemplateSpec, field: string, errors: Errors): void {
  validateLabels(template.metadata?.labels, `${field}.labels`, errors);
  validateAnnotations(template.metadata?.annotations, `${field}.annotations`, errors);
  validatePodSpec(template.spec, `${field}.spec`, false, errors);
  if ((template.spec.ephemeralContainers?.length ?? 0) > 0) {
    forbidden(errors, `${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template');
  }
}
