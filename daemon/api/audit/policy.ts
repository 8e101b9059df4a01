import { parse as parseYaml } from 'yaml';
import type { Identity } from '../../client/api-client.ts';
import type { RequestInfo } from '../http/request-info.ts';

export const auditLevels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type AuditLevel = (typeof auditLevels)[number];
export const auditStages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type AuditStage = (typeof auditStages)[number];

interface GroupResources {
  readonly group?: string;
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** A rule of an `audit.k8s.io/v1` Policy; what is not given matches everything. */
export interface AuditRule {
  readonly level: AuditLevel;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly GroupResources[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly AuditStage[];
  readonly omitManagedFields?: boolean;
}

export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
  readonly omitStages?: readonly AuditStage[];
  readonly omitManagedFields?: boolean;
}

/** What is written about a request. */
export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

/** A policy file that breaks a rule; the message names the field. */
export class AuditPolicyError extends Error {
  override readonly name = 'AuditPolicyError';
}

/** Reads an audit policy, YAML or JSON. */
export function parseAuditPolicy(text: string): AuditPolicy {
  const policy = parseYaml(text) as (AuditPolicy & { apiVersion?: string; kind?: string }) | null;
  if (policy?.apiVersion !== 'audit.k8s.io/v1' || policy.kind !== 'Policy') {
    throw new AuditPolicyError('an audit policy has apiVersion audit.k8s.io/v1 and kind Policy');
  }
  if (!Array.isArray(policy.rules) || policy.rules.length === 0) {
    throw new AuditPolicyError('rules: loaded illegal policy with 0 rules');
  }
  const checkStages = (stages: readonly string[] | undefined, field: string): void => {
    for (const [index, stage] of (stages ?? []).entries()) {
      if ((auditStages as readonly string[]).includes(stage)) continue;
      throw new AuditPolicyError(
        `${field}[${index}]: Invalid value: ${JSON.stringify(stage)}: allowed stages are ${auditStages.join(',')}`,
      );
    }
  };
  checkStages(policy.omitStages, 'omitStages');
  for (const [index, rule] of policy.rules.entries()) {
    const field = `rules[${index}]`;
    if (!auditLevels.includes(rule.level)) {
      throw new AuditPolicyError(
        `${field}.level: Unsupported value: ${JSON.stringify(rule.level ?? '')}: supported values: ${auditLevels.map((level) => JSON.stringify(level)).join(', ')}`,
      );
    }
    if (
      (rule.nonResourceURLs ?? []).length > 0 &&
      ((rule.resources ?? []).length > 0 || (rule.namespaces ?? []).length > 0)
    ) {
      throw new AuditPolicyError(
        `${field}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs`,
      );
    }
    checkStages(rule.omitStages, `${field}.omitStages`);
  }
  return policy;
}

/** The first rule that matches decides; no rule, no record. */
export function decide(policy: AuditPolicy, identity: Identity | undefined, info: RequestInfo): AuditDecision {
  const rule = policy.rules.find((candidate) => matches(candidate, identity, info));
  return {
    level: rule?.level ?? 'None',
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

const isIn = (list: readonly string[] | undefined, value: string): boolean =>
  list === undefined || list.length === 0 || list.includes(value);

function matches(rule: AuditRule, identity: Identity | undefined, info: RequestInfo): boolean {
  const { resource } = info;
  if (!isIn(rule.users, identity?.name ?? '') || !isIn(rule.verbs, info.verb)) return false;
  const groups = rule.userGroups ?? [];
  if (groups.length > 0 && !groups.some((group) => identity?.groups.includes(group))) return false;
  const kinds = rule.resources ?? [];
  const namespaces = rule.namespaces ?? [];
  const urls = rule.nonResourceURLs ?? [];
  if (resource === undefined) {
    if (kinds.length > 0 || namespaces.length > 0) return false;
    return urls.length === 0 || urls.some((url) => matchesUrl(url, info.path));
  }
  if (urls.length > 0) return false;
  if (namespaces.length > 0 && !namespaces.includes(resource.namespace)) return false;
  return kinds.length === 0 || kinds.some((kind) => matchesResource(kind, resource));
}

function matchesUrl(pattern: string, path: string): boolean {
  if (pattern === '*') return true;
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}

/** `pods`, `pods/log`, `pods/*` (every subresource), `*\/scale`, `*`. */
function matchesResource(
  kind: GroupResources,
  { group, resource, subresource, name }: NonNullable<RequestInfo['resource']>,
): boolean {
  if ((kind.group ?? '') !== group) return false;
  const names = kind.resources ?? [];
  if (names.length === 0) return true;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const found = names.some(
    (pattern) =>
      pattern === '*' ||
      pattern === full ||
      (subresource !== '' && (pattern === `${resource}/*` || pattern === `*/${subresource}`)),
  );
  return found && isIn(kind.resourceNames, name);
}
