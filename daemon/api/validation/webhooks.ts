import type {
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
  WebhookClientConfig,
} from '../../apimachinery/types/admissionregistration-v1.ts';
import { duplicate, type Errors, forbidden, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { dns1123Subdomain } from './names.ts';

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const failurePolicies = ['Fail', 'Ignore'];
const matchPolicies = ['Equivalent', 'Exact'];
const reviewVersions = ['v1', 'v1beta1'];

function validateRules(rules: readonly RuleWithOperations[] | undefined, field: string, errors: Errors): void {
  for (const [index, rule] of (rules ?? []).entries()) {
    const at = `${field}[${index}]`;
    for (const name of ['apiGroups', 'apiVersions', 'resources'] as const) {
      const list = rule[name] ?? [];
      if (list.length === 0) required(errors, `${at}.${name}`);
      if (name !== 'resources' && list.length > 1 && list.includes('*')) {
        invalid(errors, `${at}.${name}`, list, "if '*' is present, must not specify other values");
      }
    }
    if ((rule.operations?.length ?? 0) === 0) required(errors, `${at}.operations`);
    for (const [place, operation] of (rule.operations ?? []).entries()) {
      if (!operations.includes(operation)) notSupported(errors, `${at}.operations[${place}]`, operation, operations);
    }
    if (rule.scope !== undefined && !['*', 'Cluster', 'Namespaced'].includes(rule.scope)) {
      notSupported(errors, `${at}.scope`, rule.scope, ['*', 'Cluster', 'Namespaced']);
    }
  }
}

function validateClient(config: WebhookClientConfig, field: string, errors: Errors): void {
  if ((config.url === undefined) === (config.service === undefined)) {
    required(errors, field, 'exactly one of url or service is required');
  } else if (config.url !== undefined && !config.url.startsWith('https://')) {
    invalid(
      errors,
      `${field}.url`,
      config.url,
      "'https' is the only allowed URL scheme; desired format: https://host[/path]",
    );
  }
  if (config.service !== undefined) {
    if (!config.service.name) required(errors, `${field}.service.name`, 'service name is required');
    if (!config.service.namespace) required(errors, `${field}.service.namespace`, 'service namespace is required');
  }
}

export function validateWebhooks(
  configuration: ValidatingWebhookConfiguration | MutatingWebhookConfiguration,
  errors: Errors,
): void {
  const names = new Set<string>();
  for (const [index, webhook] of (configuration.webhooks ?? []).entries()) {
    const at = `webhooks[${index}]`;
    invalidAll(errors, `${at}.name`, webhook.name, dns1123Subdomain(webhook.name ?? ''));
    if ((webhook.name ?? '').split('.').length < 3) {
      invalid(errors, `${at}.name`, webhook.name, 'should be a domain with at least three segments separated by dots');
    }
    if (names.has(webhook.name)) duplicate(errors, `${at}.name`, webhook.name);
    names.add(webhook.name);
    validateRules(webhook.rules, `${at}.rules`, errors);
    if (webhook.failurePolicy !== undefined && !failurePolicies.includes(webhook.failurePolicy)) {
      notSupported(errors, `${at}.failurePolicy`, webhook.failurePolicy, failurePolicies);
    }
    if (webhook.matchPolicy !== undefined && !matchPolicies.includes(webhook.matchPolicy)) {
      notSupported(errors, `${at}.matchPolicy`, webhook.matchPolicy, matchPolicies);
    }
    if (!['None', 'NoneOnDryRun'].includes(webhook.sideEffects)) {
      notSupported(errors, `${at}.sideEffects`, webhook.sideEffects ?? '', ['None', 'NoneOnDryRun']);
    }
    const seconds = webhook.timeoutSeconds ?? 10;
    if (seconds < 1 || seconds > 30) {
      invalid(errors, `${at}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds');
    }
    const versions = webhook.admissionReviewVersions ?? [];
    const field = `${at}.admissionReviewVersions`;
    if (versions.length === 0) required(errors, field, `must specify one of ${reviewVersions.join(', ')}`);
    else if (!versions.some((version) => reviewVersions.includes(version))) {
      invalid(errors, field, versions, `must include at least one of ${reviewVersions.join(', ')}`);
    }
    validateLabelSelector(webhook.namespaceSelector, `${at}.namespaceSelector`, errors);
    validateLabelSelector(webhook.objectSelector, `${at}.objectSelector`, errors);
    validateClient(webhook.clientConfig, `${at}.clientConfig`, errors);
  }
}

export function validateAdmissionPolicy({ spec }: ValidatingAdmissionPolicy, errors: Errors): void {
  const { matchConstraints, validations = [], auditAnnotations = [] } = spec ?? {};
  if (matchConstraints === undefined) required(errors, 'spec.matchConstraints');
  else {
    if ((matchConstraints.resourceRules?.length ?? 0) === 0) required(errors, 'spec.matchConstraints.resourceRules');
    validateRules(matchConstraints.resourceRules, 'spec.matchConstraints.resourceRules', errors);
  }
  if (validations.length === 0 && auditAnnotations.length === 0) {
    required(errors, 'spec.validations', 'validations or auditAnnotations must contain at least one item');
  }
  for (const [index, { expression }] of validations.entries()) {
    if (!expression?.trim()) required(errors, `spec.validations[${index}].expression`, 'expression is not specified');
  }
}

export function validatePolicyBinding({ spec }: ValidatingAdmissionPolicyBinding, errors: Errors): void {
  if (!spec?.policyName) required(errors, 'spec.policyName');
  const actions = spec?.validationActions ?? [];
  if (actions.length === 0) required(errors, 'spec.validationActions');
  for (const [index, action] of actions.entries()) {
    if (!['Audit', 'Deny', 'Warn'].includes(action)) {
      notSupported(errors, `spec.validationActions[${index}]`, action, ['Audit', 'Deny', 'Warn']);
    }
  }
  if (actions.includes('Deny') && actions.includes('Warn')) {
    forbidden(
      errors,
      'spec.validationActions',
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    );
  }
}
