import { ApiError } from '../../../apimachinery/api-error.ts';
import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  Validation,
} from '../../../apimachinery/types/admissionregistration-v1.ts';
import { toCel } from '../../cel/environment.ts';
import type { Registry } from '../../registry/registry.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import { forbidden } from '../../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { evaluateExpression, matchResources, withPolicyVariables } from './evaluate.ts';
import { matchConditionsHold, PolicyEvaluationError } from './match-conditions.ts';
import { paramsOf } from './params.ts';
import type { AdmissionVariables, Variables } from './variables.ts';

const group = 'admissionregistration.k8s.io';

const codes: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

interface Failure {
  readonly message: string;
  readonly reason: string;
}

type Binding = ValidatingAdmissionPolicyBinding;

/** ValidatingAdmissionPolicy: what policies in CEL say of the final object, through the bindings that put them to use. */
export class ValidatingPolicies {
  readonly #registry: () => Registry;
  readonly #variables: () => AdmissionVariables;

  constructor(registry: () => Registry, variables: () => AdmissionVariables) {
    this.#registry = registry;
    this.#variables = variables;
  }

  readonly plugin: AdmissionPlugin = {
    name: 'ValidatingAdmissionPolicy',
    operations: ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'],
    validate: (request) => this.#validate(request),
  };

  #validate(request: AdmissionRequest): void {
    const registry = this.#registry();
    const bindings = registry.hub.cacheOf(registry.require(group, 'v1', 'validatingadmissionpolicybindings')).list('');
    if (bindings.length === 0) return;
    const policies = registry.hub.cacheOf(registry.require(group, 'v1', 'validatingadmissionpolicies'));
    let refusal: Error | undefined;
    for (const { object } of bindings) {
      const binding = object as Binding;
      const policy = policies.get(binding.spec.policyName)?.object as ValidatingAdmissionPolicy | undefined;
      if (policy === undefined) continue;
      for (const failure of this.#failures(policy, binding, request)) {
        refusal ??= this.#act(policy, binding, failure, request);
      }
    }
    if (refusal !== undefined) throw refusal;
  }

  /** Warns, or yields the error to refuse with. */
  #act(policy: ValidatingAdmissionPolicy, binding: Binding, failure: Failure, request: AdmissionRequest) {
    const who = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
    const actions = binding.spec.validationActions;
    if (actions.includes('Warn')) request.warn(`Validation failed for ${who}: ${failure.message}`);
    if (!actions.includes('Deny')) return undefined;
    return deny(request, `${who} denied request: ${failure.message}`, failure.reason);
  }

  #failures(policy: ValidatingAdmissionPolicy, binding: Binding, request: AdmissionRequest): Failure[] {
    const registry = this.#registry();
    const shown = matchResources(registry, policy.spec.matchConstraints, request);
    if (shown === undefined) return [];
    const { matchResources: narrower } = binding.spec;
    if (narrower !== undefined && matchResources(registry, narrower, request) === undefined) return [];
    try {
      return this.#evaluate(policy, binding, request, shown);
    } catch (error) {
      if (!(error instanceof PolicyEvaluationError)) throw error;
      return policy.spec.failurePolicy === 'Ignore' ? [] : [{ message: error.message, reason: 'Invalid' }];
    }
  }

  #evaluate(
    policy: ValidatingAdmissionPolicy,
    binding: Binding,
    request: AdmissionRequest,
    shown: ResourceRow,
  ): Failure[] {
    const { paramKind, matchConditions = [], variables: declared = [], validations = [], failurePolicy } = policy.spec;
    const base = this.#variables().of(request, shown);
    const failures: Failure[] = [];
    for (const params of paramsOf(this.#registry(), paramKind, binding.spec.paramRef, request.namespace)) {
      const variables = withPolicyVariables(declared, { ...base, params: toCel(params ?? null) });
      if (!matchConditionsHold(matchConditions, variables)) continue;
      for (const validation of validations) {
        const failure = check(validation, variables, failurePolicy !== 'Ignore');
        if (failure !== undefined) failures.push(failure);
      }
    }
    return failures;
  }
}

function check(validation: Validation, variables: Variables, failClosed: boolean): Failure | undefined {
  const { expression, message, messageExpression, reason = 'Invalid' } = validation;
  try {
    if (evaluateExpression(expression, variables) === true) return undefined;
  } catch (error) {
    if (!(error instanceof PolicyEvaluationError)) throw error;
    return failClosed ? { message: error.message, reason: 'Invalid' } : undefined;
  }
  const plain = message?.trim() ? message.trim() : `failed expression: ${expression.trim()}`;
  return { message: computedMessage(messageExpression, variables) ?? plain, reason };
}

function computedMessage(expression: string | undefined, variables: Variables): string | undefined {
  if (!expression) return undefined;
  try {
    const text = evaluateExpression(expression, variables);
    return typeof text === 'string' && text.trim() !== '' && !text.includes('\n') ? text.trim() : undefined;
  } catch (error) {
    if (error instanceof PolicyEvaluationError) return undefined;
    throw error;
  }
}

function deny({ row, name }: AdmissionRequest, message: string, reason: string): ApiError {
  const { status } = forbidden(row.handle, name, message);
  const details = { ...status.details, causes: [...(status.details?.causes ?? []), { message }] };
  return new ApiError({ ...status, reason, code: codes[reason] ?? 422, details });
}
