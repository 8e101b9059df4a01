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
    const key = entry[1] === 'metadata.annotations' ? entry[2]!.toLowerCase() : entry[2]!;
    invalidAll(errors, field, key, qualifiedName(key));
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
  validateDivisor(selector, field, errors);
}

const byteDivisors = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];

/** What each resource may be counted in, and how a refusal names it. */
const divisors: readonly { readonly of: RegExp; readonly divisors: readonly string[]; readonly name: string }[] = [
  { of: /\.cpu$/, divisors: ['1m', '1'], name: 'cpu' },
  { of: /\.memory$/, divisors: byteDivisors, name: 'memory' },
  { of: /\.ephemeral-storage$/, divisors: byteDivisors, name: 'local ephemeral storage' },
  { of: /\.hugepages-/, divisors: byteDivisors, name: 'hugepages' },
];

function validateDivisor({ resource, divisor = '0' }: ResourceFieldSelector, field: string, errors: Errors): void {
  if (divisor === '0') return;
  const rule = divisors.find(({ of }) => of.test(resource ?? ''));
  if (rule === undefined || rule.divisors.includes(divisor)) return;
  const list = rule.name === 'cpu' ? '1m and 1' : rule.divisors.join(', ');
  invalid(
    errors,
    `${field}.divisor`,
    resource,
    `only divisor's values ${list} are supported with the ${rule.name} resource`,
  );
}

function validateKeyReference(reference: { name?: string; key: string }, field: string, errors: Errors): void {
  const { name = '' } = reference;
  invalidAll(errors, `${field}.name`, name, dns1123Subdomain(name));
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
      invalid(errors, field, '', 'must specify one of: `configMapRef` or `secretRef`');
    } else if (configMapRef !== undefined && secretRef !== undefined) {
      invalid(errors, field, '', 'may not have more than one field specified at a time');
    }
  }
}
