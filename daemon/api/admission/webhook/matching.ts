import type { LabelMatcher } from '../../../apimachinery/label-selector.ts';
import { labelSelectorMatcher } from '../../../apimachinery/label-selector.ts';
import type { NamedRuleWithOperations } from '../../../apimachinery/types/admissionregistration-v1.ts';
import type { LabelSelector } from '../../../apimachinery/types/meta-v1.ts';
import type { Registry } from '../../registry/registry.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import type { AdmissionRequest } from '../admission.ts';

/** What webhooks and policies say about the requests they want to see. */
export interface MatchRules {
  readonly rules: readonly NamedRuleWithOperations[];
  readonly exclude?: readonly NamedRuleWithOperations[];
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  /** `Equivalent` (also in other versions of the same resource) or `Exact`. */
  readonly matchPolicy?: string;
}

const oneOf = (list: readonly string[] | undefined, value: string) =>
  list !== undefined && (list.includes('*') || list.includes(value));

/** `pods`, `pods/*`, `*`, `*` + `/*`, `*` + `/scale`. */
function resourceMatches(patterns: readonly string[] | undefined, resource: string, subresource: string): boolean {
  return (patterns ?? []).some((pattern) => {
    const [name, sub = ''] = pattern.split('/');
    if (name !== '*' && name !== resource) return false;
    return sub === '*' || sub === subresource;
  });
}

function ruleMatches(rule: NamedRuleWithOperations, request: AdmissionRequest, row: ResourceRow): boolean {
  const { group, version, resource, namespaced } = row.handle;
  if (!oneOf(rule.operations, request.operation)) return false;
  if (!oneOf(rule.apiGroups, group) || !oneOf(rule.apiVersions, version)) return false;
  if (!resourceMatches(rule.resources, resource, request.subresource)) return false;
  if ((rule.resourceNames?.length ?? 0) > 0 && !rule.resourceNames!.includes(request.name)) return false;
  const scope = rule.scope ?? '*';
  return scope === '*' || (scope === 'Namespaced') === namespaced;
}

/** Configurations of webhooks and policies are never shown to webhooks and policies: a bad one must stay deletable. */
const exempt: ReadonlySet<string> = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
]);

const matchers = new WeakMap<LabelSelector, LabelMatcher>();

function matcherOf(selector: LabelSelector): LabelMatcher {
  let matcher = matchers.get(selector);
  if (matcher === undefined) {
    matcher = labelSelectorMatcher(selector);
    matchers.set(selector, matcher);
  }
  return matcher;
}

const isEmpty = (selector: LabelSelector | undefined) =>
  selector === undefined || (selector.matchLabels === undefined && (selector.matchExpressions?.length ?? 0) === 0);

function namespaceMatches(registry: Registry, selector: LabelSelector | undefined, request: AdmissionRequest): boolean {
  if (isEmpty(selector)) return true;
  const { row } = request;
  const isNamespace = row.handle.group === '' && row.handle.resource === 'namespaces';
  // Other cluster-scoped objects are in no namespace that could be deselected.
  if (!row.handle.namespaced && !isNamespace) return true;
  const labels = isNamespace
    ? (request.object ?? request.old)?.metadata?.labels
    : registry.hub.cacheOf(registry.require('', 'v1', 'namespaces')).get(request.namespace)?.object.metadata?.labels;
  return matcherOf(selector!).matches(labels);
}

function objectMatches(selector: LabelSelector | undefined, { object, old }: AdmissionRequest): boolean {
  if (isEmpty(selector)) return true;
  const matcher = matcherOf(selector!);
  return [object, old].some((one) => one !== undefined && matcher.matches(one.metadata?.labels));
}

/**
 * The row in whose version a request is to be shown, or undefined when it is not wanted. Usually that is the row of the
 * request; under `Equivalent` it may be another version of the same resource.
 */
export function matchRequest(
  registry: Registry,
  match: MatchRules,
  request: AdmissionRequest,
): ResourceRow | undefined {
  const { row } = request;
  if (row.handle.group === 'admissionregistration.k8s.io' && exempt.has(row.handle.resource)) return undefined;
  if ((match.exclude ?? []).some((rule) => ruleMatches(rule, request, row))) return undefined;
  let shown = match.rules.some((rule) => ruleMatches(rule, request, row)) ? row : undefined;
  if (shown === undefined && match.matchPolicy !== 'Exact') {
    shown = registry.rows.find(
      (other) =>
        other !== row && other.storage === row.storage && match.rules.some((rule) => ruleMatches(rule, request, other)),
    );
  }
  if (shown === undefined) return undefined;
  if (!namespaceMatches(registry, match.namespaceSelector, request)) return undefined;
  return objectMatches(match.objectSelector, request) ? shown : undefined;
}
