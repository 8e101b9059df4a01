import type {
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from '../../apimachinery/types/core-v1.ts';
import { type Errors, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { configMapKey, dns1123Subdomain, envVarName, qualifiedName } from './names.ts';

const envFieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

export const volumeFieldPaths = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

const resourceFields = ['cpu', 'ephemeral-storage', 'memory']
  .flatMap((name) => [`limits.${name}`, `requests.${name}`])
  .sort();

/** `metadata.labels['key']` and `metadata.annotations['key']` name one entry. */
const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/;

export function validateFieldSelector(
  selector: ObjectFieldSelector,
  field: string,
  supported: readonly string[],
  errors: Errors,
): void {
  if (!selector.apiVersion) {
    required(errors, `${field}.apiVersion`);
    return;
  }
  if (!selector.fieldPath) {
    required(errors, `${field}.fieldPath`);
    return;
  }
  const entry = subscript.exec(selector.fieldPath);
  if (entry !== null) {
    invalidAll(errors, `${field}.fieldPath`, entry[2]!, qualifiedName(entry[2]!.toLowerCase()));
  } else if (!supported.includes(selector.fieldPath)) {
    notSupported(errors, `${field}.fieldPath`, selector.fieldPath, supported);
  }
}

export function validateResourceFieldSelector(
  selector: ResourceFieldSelector,
  field: string,
  inVolume: boolean,
  errors: Errors,
): void {
  if (inVolume && !selector.containerName) required(errors, `${field}.containerName`);
  else if (!selector.resource) required(errors, `${field}.resource`);
  else if (!resourceFields.includes(selector.resource) && !/^(limits|requests)\.hugepages-/.test(selector.resource)) {
    notSupported(errors, `${field}.resource`, selector.resource, resourceFields);
  }
}

function validateKeyReference(reference: { name?: string; key: string }, field: string, errors: Errors): void {
  if (!reference.name) required(errors, `${field}.name`);
  else invalidAll(errors, `${field}.name`, reference.name, dns1123Subdomain(reference.name));
  if (!reference.key) required(errors, `${field}.key`);
  else invalidAll(errors, `${field}.key`, reference.key, configMapKey(reference.key));
}

function validateSource(source: EnvVarSource, hasValue: boolean, field: string, errors: Errors): void {
  let sources = 0;
  if (source.fieldRef !== undefined) {
    sources++;
    validateFieldSelector(source.fieldRef, `${field}.fieldRef`, envFieldPaths, errors);
  }
  if (source.resourceFieldRef !== undefined) {
    sources++;
    validateResourceFieldSelector(source.resourceFieldRef, `${field}.resourceFieldRef`, false, errors);
  }
  if (source.configMapKeyRef !== undefined) {
    sources++;
    validateKeyReference(source.configMapKeyRef, `${field}.configMapKeyRef`, errors);
  }
  if (source.secretKeyRef !== undefined) {
    sources++;
    validateKeyReference(source.secretKeyRef, `${field}.secretKeyRef`, errors);
  }
  if (source.fileKeyRef !== undefined) sources++;
  if (sources === 0) {
    invalid(
      errors,
      field,
      '',
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
    );
  } else if (hasValue) {
    if (sources > 0) invalid(errors, field, '', 'may not be specified when `value` is not empty');
  } else if (sources > 1) {
    invalid(errors, field, '', 'may not have more than one field specified at a time');
  }
}

export function validateEnv(env: readonly EnvVar[] | undefined, field: string, errors: Errors): void {
  if (env === undefined) return;
  for (const [index, { name, value, valueFrom }] of env.entries()) {
    const at = `${field}[${index}]`;
    if (!name) required(errors, `${at}.name`);
    else invalidAll(errors, `${at}.name`, name, envVarName(name));
    if (valueFrom !== undefined) validateSource(valueFrom, !!value, `${at}.valueFrom`, errors);
  }
}

export function validateEnvFrom(sources: readonly EnvFromSource[] | undefined, field: string, errors: Errors): void {
  for (const [index, { prefix, configMapRef, secretRef }] of (sources ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (prefix) invalidAll(errors, `${at}.prefix`, prefix, envVarName(prefix));
    for (const [name, reference] of Object.entries({ configMapRef, secretRef })) {
      if (reference === undefined) continue;
      if (!reference.name) required(errors, `${at}.${name}.name`);
      else invalidAll(errors, `${at}.${name}.name`, reference.name, dns1123Subdomain(reference.name));
    }
    if (configMapRef === undefined && secretRef === undefined) {
      invalid(errors, at, '', 'must specify one of: `configMapRef` or `secretRef`');
    } else if (configMapRef !== undefined && secretRef !== undefined) {
      invalid(errors, at, '', 'may not have more than one field specified at a time');
    }
  }
}
