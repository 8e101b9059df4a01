import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
  WebhookClientConfig,
} from '../../../apimachinery/types/admissionregistration-v1.ts';
import type { LabelSelector } from '../../../apimachinery/types/meta-v1.ts';

interface AnyWebhook {
  failurePolicy?: string;
  matchPolicy?: string;
  namespaceSelector?: LabelSelector;
  objectSelector?: LabelSelector;
  timeoutSeconds?: number;
  clientConfig: WebhookClientConfig;
  rules?: RuleWithOperations[];
}

function defaultRules(rules: readonly { scope?: string }[] | undefined): void {
  for (const rule of rules ?? []) rule.scope ??= '*';
}

function defaultWebhook(webhook: AnyWebhook): void {
  webhook.clientConfig ??= {};
  if (webhook.clientConfig.service !== undefined) webhook.clientConfig.service.port ??= 443;
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  defaultRules(webhook.rules);
}

export function defaultValidatingWebhooks(configuration: ValidatingWebhookConfiguration): void {
  for (const webhook of configuration.webhooks ?? []) defaultWebhook(webhook);
}

export function defaultMutatingWebhooks(configuration: MutatingWebhookConfiguration): void {
  for (const webhook of configuration.webhooks ?? []) {
    defaultWebhook(webhook);
    webhook.reinvocationPolicy ??= 'Never';
  }
}

function defaultMatchResources(match: MatchResources | undefined): void {
  if (match === undefined) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  defaultRules(match.resourceRules);
  defaultRules(match.excludeResourceRules);
}

export function defaultAdmissionPolicy(policy: ValidatingAdmissionPolicy | MutatingAdmissionPolicy): void {
  policy.spec ??= {};
  policy.spec.failurePolicy ??= 'Fail';
  defaultMatchResources(policy.spec.matchConstraints);
}

export function defaultValidatingPolicy(policy: ValidatingAdmissionPolicy): void {
  defaultAdmissionPolicy(policy);
  policy.status ??= {};
}

export function defaultPolicyBinding(binding: ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding): void {
  defaultMatchResources(binding.spec?.matchResources);
}
