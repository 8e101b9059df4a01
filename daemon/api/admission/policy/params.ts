import { labelSelectorMatcher } from '../../../apimachinery/label-selector.ts';
import { apiVersionOf, type KubernetesObject } from '../../../apimachinery/resource.ts';
import type { ParamKind, ParamRef } from '../../../apimachinery/types/admissionregistration-v1.ts';
import type { Registry } from '../../registry/registry.ts';
import { PolicyEvaluationError } from './match-conditions.ts';

/**
 * The parameter objects that a binding gives its policy for a request: one evaluation each. `undefined` in the list stands
 * for none at all. An empty list: the binding has nothing to say.
 */
export function paramsOf(
  registry: Registry,
  kind: ParamKind | undefined,
  ref: ParamRef | undefined,
  requestNamespace: string,
): readonly (KubernetesObject | undefined)[] {
  if (kind === undefined || ref === undefined) return [undefined];
  const row = registry.rows.find(({ handle }) => apiVersionOf(handle) === kind.apiVersion && handle.kind === kind.kind);
  if (row === undefined) {
    throw new PolicyEvaluationError(
      `failed to find resource referenced by paramKind: '${kind.apiVersion}, Kind=${kind.kind}'`,
    );
  }
  const namespace = row.handle.namespaced ? ref.namespace || requestNamespace : '';
  if (row.handle.namespaced && namespace === '') {
    throw new PolicyEvaluationError(
      'failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    );
  }
  const matcher = ref.selector === undefined ? undefined : labelSelectorMatcher(ref.selector);
  const found = registry.hub
    .cacheOf(row)
    .list(namespace)
    .map((stored) => stored.viewAs(row).object)
    .filter(({ metadata }) => (ref.name ? metadata?.name === ref.name : matcher?.matches(metadata?.labels) === true));
  if (found.length === 0 && ref.parameterNotFoundAction !== 'Allow') {
    throw new PolicyEvaluationError(
      'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
    );
  }
  return found;
}
