import { parseQuantity, type Quantity, tryParseQuantity } from '../../apimachinery/quantity.ts';
import type { ResourceRequirements } from '../../apimachinery/types/core-v1.ts';
import { duplicate, type Errors, invalid, invalidAll, required } from './field-error.ts';
import { notNegative, qualifiedName } from './names.ts';

const containerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);

/** Named in no domain, or in Kubernetes' own: the rest are extended resources. */
export function isNative(name: string): boolean {
  return !name.includes('/') || name.includes('kubernetes.io/');
}

export function isHugePages(name: string): boolean {
  return name.startsWith('hugepages-');
}

export function isExtended(name: string): boolean {
  return !isNative(name) && !name.startsWith('requests.');
}

export function validateResourceName(name: string, field: string, errors: Errors): void {
  const messages = qualifiedName(name);
  invalidAll(errors, field, name, messages);
  if (messages.length === 0 && !name.includes('/') && !containerResources.has(name) && !isHugePages(name)) {
    if (!otherStandardNames.has(name)) {
      invalid(errors, field, name, 'must be a standard resource type or fully qualified');
    }
  }
}

/** Standard names that are no resource of a container. */
const otherStandardNames = new Set(['storage', 'pods', 'services']);

export function validateNonNegativeQuantity(text: string, field: string, errors: Errors): void {
  if (text.startsWith('-') && (tryParseQuantity(text)?.sign ?? 0) < 0) invalid(errors, field, text, notNegative);
}

/** Resources that come in wholes. */
const countedResources = new Set([
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]);

export function validateQuantityOf(name: string, text: string, field: string, errors: Errors): void {
  validateNonNegativeQuantity(text, field, errors);
  if (
    (isExtended(name) || countedResources.has(name)) &&
    text.endsWith('m') &&
    parseQuantity(text).milliValue() % 1000n !== 0n
  ) {
    invalid(errors, field, text, 'must be an integer');
  }
}

function validateContainerResourceName(name: string, field: string, errors: Errors): void {
  if (containerResources.has(name)) return;
  validateResourceName(name, field, errors);
  if (!name.includes('/') && !isHugePages(name))
    invalid(errors, field, name, 'must be a standard resource for containers');
}

/** Limits, requests, and that no request is above its limit. */
export function validateResourceRequirements(
  resources: ResourceRequirements | undefined,
  field: string,
  errors: Errors,
  claimNames?: ReadonlySet<string>,
): void {
  if (resources === undefined) return;
  const { limits = {}, requests = {}, claims = [] } = resources;
  for (const name in limits) {
    const at = `${field}.limits[${name}]`;
    validateContainerResourceName(name, at, errors);
    validateQuantityOf(name, limits[name]!, at, errors);
  }
  for (const name in requests) {
    const at = `${field}.requests[${name}]`;
    validateContainerResourceName(name, at, errors);
    const request = requests[name]!;
    validateQuantityOf(name, request, at, errors);
    const limit = limits[name];
    if (limit === undefined) {
      if (isExtended(name) || isHugePages(name)) {
        required(errors, `${field}.limits`, 'Limit must be set for non overcommitable resources');
      }
    } else if (limit !== request) validateBelowLimit(name, request, limit, `${field}.requests`, errors);
  }
  validateClaimNames(claims, `${field}.claims`, claimNames, errors);
}

type Claims = NonNullable<ResourceRequirements['claims']>;

function validateClaimNames(
  claims: Claims,
  field: string,
  known: ReadonlySet<string> | undefined,
  errors: Errors,
): void {
  const seen = new Set<string>();
  for (const [index, { name, request }] of claims.entries()) {
    const at = `${field}[${index}]`;
    if (!name) {
      required(errors, at);
      continue;
    }
    const key = request ? `${name}/${request}` : name;
    if (seen.has(key) || seen.has(name)) duplicate(errors, at, seen.has(name) ? name : key);
    seen.add(key);
    if (known === undefined || known.has(name)) continue;
    const names = known.size === 0 ? ' which is empty' : `: ${[...known].sort().join(', ')}`;
    const detail = `Not found: ${JSON.stringify(name)}: must be one of the names in pod.spec.resourceClaims${names}`;
    errors.push({ type: 'FieldValueNotFound', field: at, detail });
  }
}

function validateBelowLimit(name: string, requestText: string, limitText: string, field: string, errors: Errors): void {
  const request: Quantity = parseQuantity(requestText);
  const limit = parseQuantity(limitText);
  if ((isExtended(name) || isHugePages(name)) && !request.equals(limit)) {
    invalid(errors, field, requestText, `must be equal to ${name} limit of ${limitText}`);
  } else if (request.compare(limit) > 0) {
    invalid(errors, field, requestText, `must be less than or equal to ${name} limit of ${limitText}`);
  }
}
