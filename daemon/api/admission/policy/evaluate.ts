import type { MatchResources, Variable } from '../../../apimachinery/types/admissionregistration-v1.ts';
import { CelCompileError, CelRuntimeError } from '../../cel/environment.ts';
import type { Registry } from '../../registry/registry.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import type { AdmissionRequest } from '../admission.ts';
import { matchRequest } from '../webhook/matching.ts';
import { admissionCompiler, PolicyEvaluationError } from './match-conditions.ts';
import type { Variables } from './variables.ts';

/** Evaluates one expression; both kinds of failure become a `PolicyEvaluationError`. */
export function evaluateExpression(expression: string, variables: Variables): unknown {
  try {
    return admissionCompiler.compile(expression).evaluate(variables);
  } catch (error) {
    if (error instanceof CelRuntimeError) {
      throw new PolicyEvaluationError(`expression '${expression}' resulted in error: ${error.message}`);
    }
    if (error instanceof CelCompileError) throw new PolicyEvaluationError(`compilation error: ${error.message}`);
    throw error;
  }
}

/** `variables` of a policy: each is computed when it is first read, and may read those before it. */
export function withPolicyVariables(declared: readonly Variable[], variables: Variables): Variables {
  const computed: Record<string, unknown> = {};
  const all = { ...variables, variables: computed };
  for (const { name, expression } of declared) {
    let value: { readonly value: unknown } | undefined;
    Object.defineProperty(computed, name, {
      enumerable: true,
      get() {
        value ??= { value: evaluateExpression(expression, all) };
        return value.value;
      },
    });
  }
  return all;
}

/** As `matchRequest`, for the match resources of a policy or of a binding; absent ones match everything. */
export function matchResources(
  registry: Registry,
  match: MatchResources | undefined,
  request: AdmissionRequest,
): ResourceRow | undefined {
  const anything = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*', '*/*'] }];
  const { resourceRules, excludeResourceRules, namespaceSelector, objectSelector, matchPolicy } = match ?? {};
  return matchRequest(
    registry,
    {
      rules: resourceRules === undefined || resourceRules.length === 0 ? anything : resourceRules,
      ...(excludeResourceRules === undefined ? {} : { exclude: excludeResourceRules }),
      ...(namespaceSelector === undefined ? {} : { namespaceSelector }),
      ...(objectSelector === undefined ? {} : { objectSelector }),
      ...(matchPolicy === undefined ? {} : { matchPolicy }),
    },
    request,
  );
}
