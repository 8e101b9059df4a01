import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from '../../apimachinery/types/rbac-v1.ts';
import type { Identity } from '../../client/api-client.ts';
import type { CacheEvent, ResourceCache } from '../registry/resource-cache.ts';
import type { StoredObject } from '../registry/stored-object.ts';
import type { Attributes, Authorizer, Decision } from './authorizer.ts';
import { ruleAllows } from './policy-rule.ts';

export interface RbacCaches {
  readonly roles: ResourceCache;
  readonly roleBindings: ResourceCache;
  readonly clusterRoles: ResourceCache;
  readonly clusterRoleBindings: ResourceCache;
}

interface Binding {
  readonly roleRef: RoleRef;
  /** Empty for a ClusterRoleBinding. */
  readonly namespace: string;
  readonly name: string;
}

const maxMemo = 8192;

/**
 * RBAC from the watch caches. Bindings are indexed by subject (and namespace), so a decision looks only at the caller's own
 * bindings; decisions are remembered until a role or binding changes.
 */
export class RbacAuthorizer implements Authorizer {
  readonly #caches: RbacCaches;
  /** `namespace\nsubject` to bindings, by the binding's key. */
  readonly #index = new Map<string, Map<string, Binding>>();
  #memo = new WeakMap<Identity, Map<string, Decision>>();

  constructor(caches: RbacCaches) {
    this.#caches = caches;
    for (const cache of [caches.roleBindings, caches.clusterRoleBindings]) {
      cache.subscribe((events) => this.#onBindings(events));
      cache.onReset(() => this.#rebuild());
    }
    for (const cache of [caches.roles, caches.clusterRoles]) {
      cache.subscribe(() => this.#forget());
      cache.onReset(() => this.#forget());
    }
    this.#rebuild();
  }

  authorize(attributes: Attributes): Decision {
    const { identity, resource } = attributes;
    let memo = this.#memo.get(identity);
    if (memo === undefined) {
      memo = new Map();
      this.#memo.set(identity, memo);
    }
    const key =
      resource === undefined
        ? `${attributes.verb} ${attributes.path}`
        : `${attributes.verb} ${resource.group}/${resource.resource}/${resource.subresource} ${resource.namespace}/${resource.name}`;
    let decision = memo.get(key);
    if (decision === undefined) {
      decision = this.#decide(attributes);
      if (memo.size >= maxMemo) memo.clear();
      memo.set(key, decision);
    }
    return decision;
  }

  /** Every rule that applies to `identity` in `namespace` (and cluster-wide), and what could not be resolved. */
  rulesFor(identity: Identity, namespace: string): { rules: PolicyRule[]; errors: string[] } {
    const rules: PolicyRule[] = [];
    const errors: string[] = [];
    this.#visit(
      identity,
      namespace,
      (rule) => {
        rules.push(rule);
        return false;
      },
      errors,
    );
    return { rules, errors };
  }

  /** The rules of a role reference as seen from `namespace`; undefined when there is no such role. */
  rulesOf(roleRef: RoleRef, namespace: string): readonly PolicyRule[] | undefined {
    const stored =
      roleRef.kind === 'ClusterRole'
        ? this.#caches.clusterRoles.get(roleRef.name)
        : this.#caches.roles.get(`${namespace}/${roleRef.name}`);
    if (stored === undefined) return undefined;
    return (stored.object as ClusterRole | Role).rules ?? [];
  }

  #decide(attributes: Attributes): Decision {
    const errors: string[] = [];
    const allowed = this.#visit(
      attributes.identity,
      attributes.resource?.namespace ?? '',
      (rule) => ruleAllows(rule, attributes),
      errors,
    );
    if (allowed) return { allowed: true, reason: '' };
    return {
      allowed: false,
      reason: errors.length === 0 ? '' : `RBAC: ${errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`}`,
    };
  }

  /** Calls `visit` for each rule until it says true. */
  #visit(identity: Identity, namespace: string, visit: (rule: PolicyRule) => boolean, errors: string[]): boolean {
    const subjects = [`u:${identity.name}`, ...identity.groups.map((group) => `g:${group}`)];
    const scopes = namespace === '' ? [''] : ['', namespace];
    for (const scope of scopes) {
      for (const subject of subjects) {
        for (const binding of this.#index.get(`${scope}\n${subject}`)?.values() ?? []) {
          const rules = this.rulesOf(binding.roleRef, binding.namespace);
          if (rules === undefined) {
            const kind = binding.roleRef.kind === 'ClusterRole' ? 'clusterrole' : 'role';
            errors.push(`${kind}.rbac.authorization.k8s.io ${JSON.stringify(binding.roleRef.name)} not found`);
            continue;
          }
          for (const rule of rules) if (visit(rule)) return true;
        }
      }
    }
    return false;
  }

  #forget(): void {
    this.#memo = new WeakMap();
  }

  #rebuild(): void {
    this.#index.clear();
    for (const cache of [this.#caches.roleBindings, this.#caches.clusterRoleBindings]) {
      for (const stored of cache.list('')) this.#add(stored);
    }
    this.#forget();
  }

  #onBindings(events: readonly CacheEvent[]): void {
    for (const event of events) {
      if (event.previous !== undefined) this.#remove(event.previous);
      if (event.type !== 'DELETED') this.#add(event.object);
    }
    this.#forget();
  }

  #add(stored: StoredObject): void {
    const object = stored.object as ClusterRoleBinding | RoleBinding;
    const binding: Binding = { roleRef: object.roleRef, namespace: stored.namespace, name: stored.name };
    for (const subject of object.subjects ?? []) {
      const key = `${stored.namespace}\n${subjectKey(subject, stored.namespace)}`;
      let bindings = this.#index.get(key);
      if (bindings === undefined) {
        bindings = new Map();
        this.#index.set(key, bindings);
      }
      bindings.set(stored.key, binding);
    }
  }

  #remove(stored: StoredObject): void {
    for (const subject of (stored.object as ClusterRoleBinding | RoleBinding).subjects ?? []) {
      const key = `${stored.namespace}\n${subjectKey(subject, stored.namespace)}`;
      const bindings = this.#index.get(key);
      bindings?.delete(stored.key);
      if (bindings?.size === 0) this.#index.delete(key);
    }
  }
}

function subjectKey(subject: Subject, namespace: string): string {
  switch (subject.kind) {
    case 'Group':
      return `g:${subject.name}`;
    case 'ServiceAccount':
      return `u:system:serviceaccount:${subject.namespace || namespace}:${subject.name}`;
    default:
      return `u:${subject.name}`;
  }
}
