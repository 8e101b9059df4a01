import type { KeyToPath, ProjectedVolumeSource, Volume } from '../../apimachinery/types/core-v1.ts';
import { validateFieldSelector, validateResourceFieldSelector, volumeFieldPaths } from './env.ts';
import { duplicate, type Errors, forbidden, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { dns1123Label, dns1123Subdomain } from './names.ts';

const modeMessage = 'must be a number between 0 and 0777 (octal), both inclusive';

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

export function validateNoBackstep(path: string, field: string, errors: Errors): void {
  if (path.split('/').includes('..')) invalid(errors, field, path, "must not contain '..'");
}

/** Relative, and within the volume. */
export function validateLocalPath(path: string, field: string, errors: Errors): void {
  if (path.startsWith('/')) invalid(errors, field, path, 'must be a relative path');
  validateNoBackstep(path, field, errors);
  if (path.startsWith('..') && !path.startsWith('../') && path !== '..') {
    invalid(errors, field, path, "must not start with '..'");
  }
}

function validateMode(mode: number | undefined, field: string, errors: Errors): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) invalid(errors, field, mode, modeMessage);
}

function validateItems(items: readonly KeyToPath[] | undefined, field: string, errors: Errors): void {
  for (const [index, item] of (items ?? []).entries()) {
    const at = `${field}.items[${index}]`;
    if (!item.key) required(errors, `${at}.key`);
    if (!item.path) required(errors, `${at}.path`);
    else validateLocalPath(item.path, `${at}.path`, errors);
    validateMode(item.mode, `${at}.mode`, errors);
  }
}

type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];

function validateDownwardItems(items: readonly DownwardItem[] | undefined, field: string, errors: Errors): void {
  for (const [index, item] of (items ?? []).entries()) {
    const at = `${field}.items[${index}]`;
    if (!item.path) required(errors, `${at}.path`);
    else validateLocalPath(item.path, `${at}.path`, errors);
    if (item.fieldRef !== undefined) {
      validateFieldSelector(item.fieldRef, `${at}.fieldRef`, volumeFieldPaths, errors);
      if (item.resourceFieldRef !== undefined) {
        invalid(errors, at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously');
      }
    } else if (item.resourceFieldRef !== undefined) {
      validateResourceFieldSelector(item.resourceFieldRef, `${at}.resourceFieldRef`, true, errors);
    } else required(errors, at, 'one of fieldRef and resourceFieldRef is required');
    validateMode(item.mode, `${at}.mode`, errors);
  }
}

function validateProjected(projected: ProjectedVolumeSource, field: string, errors: Errors): void {
  validateMode(projected.defaultMode, `${field}.defaultMode`, errors);
  for (const [index, source] of (projected.sources ?? []).entries()) {
    const at = `${field}.sources[${index}]`;
    const kinds = Object.keys(source);
    for (const kind of kinds.slice(1)) forbidden(errors, `${at}.${kind}`, 'may not specify more than 1 volume type');
    if (source.secret !== undefined) {
      if (!source.secret.name) required(errors, `${at}.secret.name`);
      validateItems(source.secret.items, `${at}.secret`, errors);
    }
    if (source.configMap !== undefined) {
      if (!source.configMap.name) required(errors, `${at}.configMap.name`);
      validateItems(source.configMap.items, `${at}.configMap`, errors);
    }
    validateDownwardItems(source.downwardAPI?.items, `${at}.downwardAPI`, errors);
    const token = source.serviceAccountToken;
    if (token !== undefined) {
      const seconds = token.expirationSeconds ?? 0;
      if (seconds < 600) {
        invalid(
          errors,
          `${at}.serviceAccountToken.expirationSeconds`,
          seconds,
          'may not specify a duration less than 10 minutes',
        );
      }
      if (seconds > 2 ** 32) {
        invalid(
          errors,
          `${at}.serviceAccountToken.expirationSeconds`,
          seconds,
          'may not specify a duration larger than 2^32 seconds',
        );
      }
      if (!token.path) required(errors, `${at}.serviceAccountToken.path`);
      else validateLocalPath(token.path, `${at}.serviceAccountToken.path`, errors);
    }
  }
}

/** Checks of single sources; sources without an entry have nothing a user meets first. */
const sourceChecks: { [K in keyof Volume]?: (volume: Volume, field: string, errors: Errors) => void } = {
  hostPath: ({ hostPath }, field, errors) => {
    if (!hostPath?.path) required(errors, `${field}.path`);
    else validateNoBackstep(hostPath.path, `${field}.path`, errors);
    if (!hostPathTypes.includes(hostPath?.type ?? '')) {
      notSupported(errors, `${field}.type`, hostPath?.type, hostPathTypes);
    }
  },
  emptyDir: ({ emptyDir }, field, errors) => {
    if (emptyDir?.sizeLimit?.startsWith('-')) {
      forbidden(errors, `${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity');
    }
  },
  secret: ({ secret }, field, errors) => {
    if (!secret?.secretName) required(errors, `${field}.secretName`);
    validateMode(secret?.defaultMode, `${field}.defaultMode`, errors);
    validateItems(secret?.items, field, errors);
  },
  configMap: ({ configMap }, field, errors) => {
    if (!configMap?.name) required(errors, `${field}.name`);
    validateMode(configMap?.defaultMode, `${field}.defaultMode`, errors);
    validateItems(configMap?.items, field, errors);
  },
  persistentVolumeClaim: ({ persistentVolumeClaim }, field, errors) => {
    if (!persistentVolumeClaim?.claimName) required(errors, `${field}.claimName`);
  },
  nfs: ({ nfs }, field, errors) => {
    if (!nfs?.server) required(errors, `${field}.server`);
    if (!nfs?.path) required(errors, `${field}.path`);
    else if (!nfs.path.startsWith('/')) invalid(errors, `${field}.path`, nfs.path, 'must be an absolute path');
  },
  downwardAPI: ({ downwardAPI }, field, errors) => {
    validateMode(downwardAPI?.defaultMode, `${field}.defaultMode`, errors);
    validateDownwardItems(downwardAPI?.items, field, errors);
  },
  projected: ({ projected }, field, errors) => {
    if (projected !== undefined) validateProjected(projected, field, errors);
  },
  csi: ({ csi }, field, errors) => {
    if (!csi?.driver) required(errors, `${field}.driver`);
    else invalidAll(errors, `${field}.driver`, csi.driver, dns1123Subdomain(csi.driver.toLowerCase()));
  },
  ephemeral: ({ ephemeral }, field, errors) => {
    if (ephemeral?.volumeClaimTemplate === undefined) required(errors, `${field}.volumeClaimTemplate`);
  },
};

/** Yields the volumes by name, for mounts to find. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  field: string,
  errors: Errors,
): ReadonlyMap<string, Volume> {
  const byName = new Map<string, Volume>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = `${field}[${index}]`;
    let sources = 0;
    for (const source in volume) {
      if (source === 'name') continue;
      sources++;
      if (sources > 1) forbidden(errors, `${at}.${source}`, 'may not specify more than 1 volume type');
      else sourceChecks[source as keyof Volume]?.(volume, `${at}.${source}`, errors);
    }
    if (sources === 0) required(errors, at, 'must specify a volume type');
    if (!volume.name) required(errors, `${at}.name`);
    else {
      invalidAll(errors, `${at}.name`, volume.name, dns1123Label(volume.name));
      if (byName.has(volume.name)) duplicate(errors, `${at}.name`, volume.name);
    }
    byName.set(volume.name, volume);
  }
  return byName;
}
