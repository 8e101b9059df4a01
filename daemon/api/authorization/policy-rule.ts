import type { PolicyRule } from '../../apimachinery/types/rbac-v1.ts';
import type { Attributes } from './authorizer.ts';

/** Whether one RBAC rule lets a request through (`rbac.RuleAllows`). */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!rule.verbs.includes('*') && !rule.verbs.includes(attributes.verb)) return false;
  const { resource } = attributes;
  if (resource === undefined)
    return (rule.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, attributes.path ?? ''));
  const groups = rule.apiGroups ?? [];
  if (!groups.includes('*') && !groups.includes(resource.group)) return false;
  if (!resourceMatches(rule.resources ?? [], resource.resource, resource.subresource)) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(resource.name);
}

export function pathMatches(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, ''));
}

function resourceMatches(resources: readonly string[], resource: string, subresource: string): boolean {
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  for (const entry of resources) {
    if (entry === '*' || entry === combined) return true;
    if (subresource !== '' && entry === `*/${subresource}`) return true;
  }
  return false;
}

/** Whether the rules `owned` together allow everything that `wanted` does (`validation.Covers`). Yields what is missing. */
export function uncovered(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const missing: PolicyRule[] = [];
  for (const rule of wanted) {
    for (const part of breakdown(rule)) {
      if (!owned.some((candidate) => covers(candidate, part))) missing.push(part);
    }
  }
  return missing;
}

/** A rule as rules of one verb, group, resource and name each. */
function breakdown(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const verb of rule.verbs) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const names: (string | undefined)[] = rule.resourceNames?.length ? rule.resourceNames : [undefined];
        for (const name of names) {
          parts.push({
            verbs: [verb],
            apiGroups: [group],
            resources: [resource],
            ...(name === undefined ? {} : { resourceNames: [name] }),
          });
        }
      }
    }
    for (const url of rule.nonResourceURLs ?? []) parts.push({ verbs: [verb], nonResourceURLs: [url] });
  }
  return parts;
}

function covers(owner: PolicyRule, part: PolicyRule): boolean {
  const has = (list: readonly string[] | undefined, value: string) =>
    list?.includes('*') || list?.includes(value) || false;
  if (!has(owner.verbs, part.verbs[0]!)) return false;
  const url = part.nonResourceURLs?.[0];
  if (url !== undefined) return (owner.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, url));
  if (!has(owner.apiGroups, part.apiGroups![0]!)) return false;
  const [resource, subresource = ''] = part.resources![0]!.split('/', 2) as [string, string?];
  if (!resourceMatches(owner.resources ?? [], resource, subresource)) return false;
  const names = owner.resourceNames ?? [];
  if (names.length === 0) return true;
  return part.resourceNames !== undefined && names.includes(part.resourceNames[0]!);
}
