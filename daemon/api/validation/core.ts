import { labelKeyErrors, labelValueErrors } from '../../apimachinery/label-syntax.ts';
import { parseQuantity, tryParseQuantity } from '../../apimachinery/quantity.ts';
import type {
  ConfigMap,
  Event,
  LimitRange,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  ResourceQuota,
  Secret,
} from '../../apimachinery/types/core-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import {
  duplicate,
  type Errors,
  forbidden,
  immutableMessage,
  invalid,
  invalidAll,
  notSupported,
  required,
  tooLong,
} from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { cidrMessage, configMapKey, dns1123Subdomain, isCidr, positive } from './names.ts';
import { isNative, validateNonNegativeQuantity, validateResourceName } from './resources.ts';
import { validateTaintEffect } from './scheduling.ts';

/** Of a ConfigMap or Secret, in bytes. */
const maxDataSize = 1024 * 1024;

export function validateConfigMap(configMap: ConfigMap, errors: Errors): void {
  let size = 0;
  for (const key in configMap.data) {
    invalidAll(errors, `data[${key}]`, key, configMapKey(key));
    if (configMap.binaryData !== undefined && key in configMap.binaryData) {
      invalid(errors, `data[${key}]`, key, 'duplicate of key present in binaryData');
    }
    size += Buffer.byteLength(configMap.data[key]!);
  }
  for (const key in configMap.binaryData) {
    invalidAll(errors, `binaryData[${key}]`, key, configMapKey(key));
    size += Buffer.byteLength(configMap.binaryData[key]!, 'base64');
  }
  if (size > maxDataSize) tooLong(errors, '[]', maxDataSize);
}

export function validateConfigMapUpdate(configMap: ConfigMap, old: ConfigMap, errors: Errors): void {
  if (old.immutable === true) {
    if (configMap.immutable !== true) forbidden(errors, 'immutable', 'field is immutable when `immutable` is set');
    for (const name of ['data', 'binaryData'] as const) {
      if (!equalJson(configMap[name] ?? {}, old[name] ?? {})) {
        forbidden(errors, name, 'field is immutable when `immutable` is set');
      }
    }
  }
  validateConfigMap(configMap, errors);
}

const serviceAccountName = 'kubernetes.io/service-account.name';

function requireKey(secret: Secret, key: string, errors: Errors): string | undefined {
  const value = secret.data?.[key];
  if (value === undefined) required(errors, `data[${key}]`);
  return value;
}

function requireJson(secret: Secret, key: string, errors: Errors): void {
  const value = requireKey(secret, key, errors);
  if (value === undefined) return;
  try {
    JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    invalid(errors, `data[${key}]`, '<secret contents redacted>', error.message);
  }
}

const secretTypes: Readonly<Record<string, (secret: Secret, errors: Errors) => void>> = {
  'kubernetes.io/service-account-token': ({ metadata }, errors) => {
    if (!metadata.annotations?.[serviceAccountName]) {
      required(errors, `metadata.annotations[${serviceAccountName}]`);
    }
  },
  'kubernetes.io/dockercfg': (secret, errors) => requireJson(secret, '.dockercfg', errors),
  'kubernetes.io/dockerconfigjson': (secret, errors) => requireJson(secret, '.dockerconfigjson', errors),
  'kubernetes.io/basic-auth': (secret, errors) => {
    if (secret.data?.['username'] !== undefined || secret.data?.['password'] !== undefined) return;
    required(errors, 'data[username]');
    required(errors, 'data[password]');
  },
  'kubernetes.io/ssh-auth': (secret, errors) => {
    if (!secret.data?.['ssh-privatekey']) required(errors, 'data[ssh-privatekey]');
  },
  'kubernetes.io/tls': (secret, errors) => {
    requireKey(secret, 'tls.crt', errors);
    requireKey(secret, 'tls.key', errors);
  },
};

export function validateSecret(secret: Secret, errors: Errors): void {
  let size = 0;
  for (const key in secret.data) {
    invalidAll(errors, `data[${key}]`, key, configMapKey(key));
    size += Buffer.byteLength(secret.data[key]!, 'base64');
  }
  if (size > maxDataSize) tooLong(errors, 'data', maxDataSize);
  secretTypes[secret.type ?? '']?.(secret, errors);
}

export function validateSecretUpdate(secret: Secret, old: Secret, errors: Errors): void {
  if (secret.type !== old.type) invalid(errors, 'type', secret.type, immutableMessage);
  if (old.immutable === true) {
    if (secret.immutable !== true) forbidden(errors, 'immutable', 'field is immutable when `immutable` is set');
    if (!equalJson(secret.data ?? {}, old.data ?? {}))
      forbidden(errors, 'data', 'field is immutable when `immutable` is set');
  }
  validateSecret(secret, errors);
}

export function validateNode({ spec }: Node, errors: Errors): void {
  const taints = new Set<string>();
  for (const [index, { key, value = '', effect }] of (spec.taints ?? []).entries()) {
    const at = `spec.taints[${index}]`;
    invalidAll(errors, `${at}.key`, key, labelKeyErrors(key));
    invalidAll(errors, `${at}.value`, value, labelValueErrors(value));
    validateTaintEffect(effect, false, `${at}.effect`, errors);
    const unique = `${key}:${effect}`;
    if (taints.has(unique)) duplicate(errors, at, spec.taints![index]);
    taints.add(unique);
  }
  for (const [index, cidr] of (spec.podCIDRs ?? []).entries()) {
    if (!isCidr(cidr)) invalid(errors, `spec.podCIDRs[${index}]`, cidr, cidrMessage);
  }
}

export function validateNodeUpdate(node: Node, old: Node, errors: Errors): void {
  const before = old.spec.podCIDRs ?? [];
  if (before.length > 0 && !equalJson(node.spec.podCIDRs ?? [], before)) {
    forbidden(errors, 'spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid');
  }
  if (old.spec.providerID && node.spec.providerID !== old.spec.providerID) {
    forbidden(errors, 'spec.providerID', 'node updates may not change providerID except from "" to valid');
  }
  validateNode(node, errors);
}

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const volumeModes = ['Block', 'Filesystem'];
const reclaimPolicies = ['Delete', 'Recycle', 'Retain'];

function validateAccessModes(modes: readonly string[] | undefined, detail: string, errors: Errors): void {
  if (modes === undefined || modes.length === 0) required(errors, 'spec.accessModes', detail);
  for (const mode of modes ?? []) {
    if (!accessModes.includes(mode)) notSupported(errors, 'spec.accessModes', mode, accessModes);
  }
  if (modes?.includes('ReadWriteOncePod') && modes.length > 1) {
    forbidden(errors, 'spec.accessModes', 'may not use ReadWriteOncePod with other access modes');
  }
}

function validateStorageRequest(text: string | undefined, field: string, errors: Errors): void {
  if (text === undefined) required(errors, field);
  else if ((tryParseQuantity(text)?.sign ?? 0) <= 0) invalid(errors, field, text, positive);
}

/** Fields of a volume's spec that are no source of it. */
const volumeFields = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

const sourcesOf = (volume: PersistentVolume) => Object.entries(volume.spec).filter(([name]) => !volumeFields.has(name));

export function validatePersistentVolume(volume: PersistentVolume, errors: Errors): void {
  const { spec } = volume;
  validateAccessModes(spec.accessModes, '', errors);
  if (Object.keys(spec.capacity ?? {}).length === 0) required(errors, 'spec.capacity');
  else if (spec.capacity?.['storage'] === undefined || Object.keys(spec.capacity).length > 1) {
    notSupported(errors, 'spec.capacity', spec.capacity, ['storage']);
  } else validateStorageRequest(spec.capacity['storage'], 'spec.capacity[storage]', errors);
  if (!reclaimPolicies.includes(spec.persistentVolumeReclaimPolicy ?? '')) {
    notSupported(errors, 'spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, reclaimPolicies);
  }
  const sources = sourcesOf(volume);
  if (sources.length === 0) required(errors, 'spec', 'must specify a volume type');
  for (const [name] of sources.slice(1)) forbidden(errors, `spec.${name}`, 'may not specify more than 1 volume type');
  if (spec.hostPath !== undefined && !spec.hostPath.path) required(errors, 'spec.hostPath.path');
  if (spec.nfs !== undefined) {
    if (!spec.nfs.server) required(errors, 'spec.nfs.server');
    if (!spec.nfs.path) required(errors, 'spec.nfs.path');
  }
  if (spec.local !== undefined) {
    if (!spec.local.path) required(errors, 'spec.local.path');
    if (spec.nodeAffinity === undefined) required(errors, 'spec.nodeAffinity', 'Local volume requires node affinity');
  }
  if (spec.csi !== undefined) {
    if (!spec.csi.driver) required(errors, 'spec.csi.driver');
    if (!spec.csi.volumeHandle) required(errors, 'spec.csi.volumeHandle');
  }
  if (spec.storageClassName) {
    invalidAll(errors, 'spec.storageClassName', spec.storageClassName, dns1123Subdomain(spec.storageClassName));
  }
  if (spec.volumeMode !== undefined && !volumeModes.includes(spec.volumeMode)) {
    notSupported(errors, 'spec.volumeMode', spec.volumeMode, volumeModes);
  }
}

export function validatePersistentVolumeUpdate(volume: PersistentVolume, old: PersistentVolume, errors: Errors): void {
  validatePersistentVolume(volume, errors);
  if (!equalJson(Object.fromEntries(sourcesOf(volume)), Object.fromEntries(sourcesOf(old)))) {
    forbidden(errors, 'spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation');
  }
  if (volume.spec.volumeMode !== old.spec.volumeMode)
    invalid(errors, 'volumeMode', volume.spec.volumeMode, immutableMessage);
}

export function validatePersistentVolumeClaim({ spec }: PersistentVolumeClaim, errors: Errors): void {
  validateLabelSelector(spec.selector, 'spec.selector', errors);
  validateAccessModes(spec.accessModes, 'at least 1 access mode is required', errors);
  validateStorageRequest(spec.resources?.requests?.['storage'], 'spec.resources[storage]', errors);
  if (spec.storageClassName) {
    invalidAll(errors, 'spec.storageClassName', spec.storageClassName, dns1123Subdomain(spec.storageClassName));
  }
  if (spec.volumeMode !== undefined && !volumeModes.includes(spec.volumeMode)) {
    notSupported(errors, 'spec.volumeMode', spec.volumeMode, volumeModes);
  }
}

/** A claim is fixed once made: it may be bound, and a bound one may grow. */
export function validatePersistentVolumeClaimUpdate(
  claim: PersistentVolumeClaim,
  old: PersistentVolumeClaim,
  errors: Errors,
): void {
  validatePersistentVolumeClaim(claim, errors);
  const fixed = ({ spec }: PersistentVolumeClaim) => {
    const { resources: _resources, volumeName, storageClassName, volumeAttributesClassName: _class, ...rest } = spec;
    return {
      ...rest,
      ...(old.spec.volumeName ? { volumeName } : {}),
      ...(old.spec.storageClassName === undefined ? {} : { storageClassName }),
    };
  };
  if (!equalJson(fixed(claim), fixed(old))) {
    forbidden(
      errors,
      'spec',
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    );
  }
  const [now, before] = [claim.spec.resources?.requests?.['storage'], old.spec.resources?.requests?.['storage']];
  if (now === undefined || before === undefined || now === before) return;
  if (old.status?.phase !== 'Bound') {
    forbidden(
      errors,
      'spec',
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    );
  } else if (parseQuantity(now).compare(parseQuantity(before)) < 0) {
    const floor = old.status?.capacity?.['storage'];
    if (floor === undefined || parseQuantity(now).compare(parseQuantity(floor)) <= 0) {
      forbidden(errors, 'spec.resources.requests.storage', 'field can not be less than status.capacity');
    }
  }
}

const limitTypes = new Set(['Container', 'Pod', 'PersistentVolumeClaim']);

export function validateLimitRange({ spec }: LimitRange, errors: Errors): void {
  const seen = new Set<string>();
  for (const [index, item] of (spec.limits ?? []).entries()) {
    const at = `spec.limits[${index}]`;
    invalidAll(errors, `${at}.type`, item.type, limitTypes.has(item.type) ? [] : labelKeyErrors(item.type));
    if (limitTypes.has(item.type) === false && !item.type.includes('/')) {
      invalid(errors, `${at}.type`, item.type, 'must be a standard limit type or fully qualified');
    }
    if (seen.has(item.type)) duplicate(errors, `${at}.type`, item.type);
    seen.add(item.type);
    if (item.type === 'Pod') {
      if (item.default !== undefined) forbidden(errors, `${at}.default`, "may not be specified when `type` is 'Pod'");
      if (item.defaultRequest !== undefined)
        forbidden(errors, `${at}.defaultRequest`, "may not be specified when `type` is 'Pod'");
    }
    const names = new Set(
      ['min', 'max', 'default', 'defaultRequest'].flatMap((list) => Object.keys(item[list as 'min'] ?? {})),
    );
    for (const name of names) {
      const value = (list: 'min' | 'max' | 'default' | 'defaultRequest') => item[list]?.[name];
      const above = (low: string | undefined, high: string | undefined) =>
        low !== undefined && high !== undefined && parseQuantity(low).compare(parseQuantity(high)) > 0;
      const [min, max, standard, request] = [value('min'), value('max'), value('default'), value('defaultRequest')];
      if (above(min, max))
        invalid(errors, `${at}.min[${name}]`, min, `min value ${min} is greater than max value ${max}`);
      if (above(min, request)) {
        invalid(
          errors,
          `${at}.defaultRequest[${name}]`,
          request,
          `min value ${min} is greater than default request value ${request}`,
        );
      }
      if (above(request, max)) {
        invalid(
          errors,
          `${at}.defaultRequest[${name}]`,
          request,
          `default request value ${request} is greater than max value ${max}`,
        );
      }
      if (above(request, standard)) {
        invalid(
          errors,
          `${at}.defaultRequest[${name}]`,
          request,
          `default request value ${request} is greater than default limit value ${standard}`,
        );
      }
      if (above(min, standard))
        invalid(errors, `${at}.default[${name}]`, min, `min value ${min} is greater than default value ${standard}`);
      if (above(standard, max))
        invalid(errors, `${at}.default[${name}]`, max, `default value ${standard} is greater than max value ${max}`);
    }
  }
}

const quotaNames =
  /^(?:(?:requests|limits)\.(?:cpu|memory|ephemeral-storage|storage|hugepages-.+|.+\/.+)|count\/.+|.+\.storageclass\.storage\.k8s\.io\/.+|cpu|memory|pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|services\.(?:nodeports|loadbalancers)|ephemeral-storage)$/;
const quotaScopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

export function validateResourceQuota({ spec }: ResourceQuota, errors: Errors): void {
  for (const [name, text] of Object.entries(spec.hard ?? {})) {
    const at = `spec.hard[${name}]`;
    if (!quotaNames.test(name)) {
      if (isNative(name)) invalid(errors, at, name, 'must be a standard resource for quota');
      else validateResourceName(name, at, errors);
    }
    validateNonNegativeQuantity(text, at, errors);
  }
  for (const scope of spec.scopes ?? []) {
    if (!quotaScopes.includes(scope)) invalid(errors, 'spec.scopes', spec.scopes, 'unsupported scope');
  }
}

export function validateResourceQuotaUpdate(quota: ResourceQuota, old: ResourceQuota, errors: Errors): void {
  validateResourceQuota(quota, errors);
  if (!equalJson(new Set(quota.spec.scopes).size, new Set(old.spec.scopes).size)) {
    invalid(errors, 'spec.scopes', quota.spec.scopes, immutableMessage);
  }
}

export function validateEvent(event: Event, errors: Errors): void {
  const { involvedObject, metadata } = event;
  const namespace = involvedObject.namespace ?? '';
  const expected = namespace === '' ? 'default' : namespace;
  if (
    metadata.namespace !== undefined &&
    metadata.namespace !== expected &&
    !(namespace === '' && metadata.namespace === 'kube-system')
  ) {
    invalid(errors, 'involvedObject.namespace', namespace, 'does not match event.namespace');
  }
}
