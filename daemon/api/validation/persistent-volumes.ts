import { parseQuantity, tryParseQuantity } from '../../apimachinery/quantity.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import {
  type Errors,
  forbidden,
  immutableMessage,
  invalid,
  invalidAll,
  notSupported,
  required,
} from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { dns1123Subdomain, positive } from './names.ts';

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
