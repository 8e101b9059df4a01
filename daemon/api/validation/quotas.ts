import { labelKeyErrors } from '../../apimachinery/label-syntax.ts';
import { parseQuantity } from '../../apimachinery/quantity.ts';
import type { LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec } from '../../apimachinery/types/core-v1.ts';
import { duplicate, type Errors, forbidden, immutableMessage, invalid, invalidAll, required } from './field-error.ts';
import { isExtended, isHugePages, validateQuantityOf } from './resources.ts';

const limitTypes = new Set(['Container', 'Pod', 'PersistentVolumeClaim']);

function validateLimitType(type: string, field: string, errors: Errors): void {
  const messages = labelKeyErrors(type);
  invalidAll(errors, field, type, messages);
  if (messages.length === 0 && !type.includes('/') && !limitTypes.has(type)) {
    invalid(errors, field, type, 'must be a standard limit type or fully qualified');
  }
}

export function validateLimitRange({ spec }: LimitRange, errors: Errors): void {
  const seen = new Set<string>();
  for (const [index, item] of (spec.limits ?? []).entries()) {
    const at = `spec.limits[${index}]`;
    validateLimitType(item.type ?? '', `${at}.type`, errors);
    if (seen.has(item.type)) duplicate(errors, `${at}.type`, item.type);
    seen.add(item.type);
    if (item.type === 'Pod') {
      for (const name of ['default', 'defaultRequest'] as const) {
        if (item[name] !== undefined) forbidden(errors, `${at}.${name}`, "may not be specified when `type` is 'Pod'");
      }
    }
    if (item.type === 'PersistentVolumeClaim' && !item.min?.['storage'] && !item.max?.['storage']) {
      const message = 'either minimum or maximum storage value is required, but neither was provided';
      required(errors, `${at}.limits`, message);
    }
    validateBounds(item, at, errors);
  }
}

const lists = ['min', 'max', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

/** min <= defaultRequest <= default <= max, for each resource. */
function validateBounds(item: LimitRangeItem, at: string, errors: Errors): void {
  const names = new Set(lists.flatMap((list) => Object.keys(item[list] ?? {})));
  const above = (low: string | undefined, high: string | undefined) =>
    low !== undefined && high !== undefined && parseQuantity(low).compare(parseQuantity(high)) > 0;
  for (const name of names) {
    const [min, max, standard, request, ratio] = lists.map((list) => item[list]?.[name]);
    if (above(min, max))
      invalid(errors, `${at}.min[${name}]`, min, `min value ${min} is greater than max value ${max}`);
    const requestField = `${at}.defaultRequest[${name}]`;
    if (above(min, request)) {
      invalid(errors, requestField, request, `min value ${min} is greater than default request value ${request}`);
    }
    if (above(request, max)) {
      invalid(errors, requestField, request, `default request value ${request} is greater than max value ${max}`);
    }
    if (above(request, standard)) {
      const message = `default request value ${request} is greater than default limit value ${standard}`;
      invalid(errors, requestField, request, message);
    }
    const standardField = `${at}.default[${name}]`;
    if (above(min, standard)) {
      invalid(errors, standardField, min, `min value ${min} is greater than default value ${standard}`);
    }
    if (above(standard, max)) {
      invalid(errors, standardField, max, `default value ${standard} is greater than max value ${max}`);
    }
    if (above('1', ratio)) {
      invalid(errors, `${at}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`);
    }
    const mustMatch = (isExtended(name) || isHugePages(name)) && standard !== undefined && request !== undefined;
    if (mustMatch && !parseQuantity(standard).equals(parseQuantity(request))) {
      const message = `default value ${standard} must equal to defaultRequest value ${request} in ${name}`;
      invalid(errors, requestField, request, message);
    }
  }
}

const quotaNames = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);

/** Scopes, and the quotas each of them can hold for; undefined: for any. */
const podQuotas = new Set(['pods', 'cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']);
const onlyPods = new Set(['pods']);
const scopes: Readonly<Record<string, ReadonlySet<string> | undefined>> = {
  BestEffort: onlyPods,
  CrossNamespacePodAffinity: podQuotas,
  NotBestEffort: podQuotas,
  NotTerminating: podQuotas,
  PriorityClass: podQuotas,
  Terminating: podQuotas,
  VolumeAttributesClass: undefined,
};
const opposites = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

function validateQuotaName(name: string, field: string, errors: Errors): void {
  const messages = labelKeyErrors(name);
  invalidAll(errors, field, name, messages);
  if (messages.length > 0 || name.includes('/')) return;
  if (quotaNames.has(name) || isHugePages(name) || name.startsWith('requests.hugepages-')) return;
  invalid(errors, field, name, 'must be a standard resource type or fully qualified');
  invalid(errors, field, name, 'must be a standard resource for quota');
}

function validateScopes(spec: ResourceQuotaSpec, errors: Errors): void {
  const field = 'spec.scopes';
  const given = spec.scopes ?? [];
  for (const scope of given) {
    if (!(scope in scopes)) invalid(errors, field, given, 'unsupported scope');
    const allowed = scopes[scope];
    for (const name of Object.keys(spec.hard ?? {}).sort()) {
      if (allowed !== undefined && quotaNames.has(name) && !allowed.has(name)) {
        invalid(errors, field, given, 'unsupported scope applied to resource');
      }
    }
  }
  for (const [one, other] of opposites) {
    if (given.includes(one) && given.includes(other)) invalid(errors, field, given, 'conflicting scopes');
  }
}

function validateScopeSelector(spec: ResourceQuotaSpec, errors: Errors): void {
  const at = 'spec.scopeSelector.matchExpressions';
  for (const { scopeName, operator, values = [] } of spec.scopeSelector?.matchExpressions ?? []) {
    if (!(scopeName in scopes)) invalid(errors, `${at}.scopeName`, scopeName, 'unsupported scope');
    if (operator === 'In' || operator === 'NotIn') {
      if (values.length === 0) {
        const message = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
        required(errors, `${at}.values`, message);
      }
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values.length > 0) {
        const message = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
        invalid(errors, `${at}.values`, values, message);
      }
    } else invalid(errors, `${at}.operator`, operator, 'not a valid selector operator');
  }
}

export function validateResourceQuota({ spec }: ResourceQuota, errors: Errors): void {
  for (const [name, text] of Object.entries(spec.hard ?? {})) {
    const at = `spec.hard[${name}]`;
    validateQuotaName(name, at, errors);
    validateQuantityOf(name, text, at, errors);
  }
  validateScopes(spec, errors);
  validateScopeSelector(spec, errors);
}

export function validateResourceQuotaUpdate(quota: ResourceQuota, old: ResourceQuota, errors: Errors): void {
  validateResourceQuota(quota, errors);
  const text = ({ spec }: ResourceQuota) => [...new Set(spec.scopes)].sort().join();
  if (text(quota) !== text(old)) invalid(errors, 'spec.scopes', quota.spec.scopes, immutableMessage);
}
