import { ApiError } from '../../../apimachinery/api-error.ts';
import type { KubernetesObject } from '../../../apimachinery/resource.ts';
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  Mutation,
} from '../../../apimachinery/types/admissionregistration-v1.ts';
import { toCel } from '../../cel/environment.ts';
import { fromCel, messagesAsMaps } from '../../cel/message-literals.ts';
import { decodeObject } from '../../codec/decode.ts';
import { mergeApplied } from '../../patch/apply-merge.ts';
import { applyJsonPatch } from '../../patch/json-patch.ts';
import { isObject } from '../../patch/json-value.ts';
import { shapeOfDefinition } from '../../patch/value-shape.ts';
import type { Registry } from '../../registry/registry.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import { forbidden } from '../../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { replaceObject } from '../replace-object.ts';
import { inVersionOf } from '../webhook/admission-review.ts';
import { evaluateExpression, matchResources, withPolicyVariables } from './evaluate.ts';
import { matchConditionsHold, PolicyEvaluationError } from './match-conditions.ts';
import { paramsOf } from './params.ts';
import type { AdmissionVariables, Variables } from './variables.ts';

const group = 'admissionregistration.k8s.io';

/** MutatingAdmissionPolicy: changes that policies in CEL make to objects on their way in, one binding after the other. */
export class MutatingPolicies {
  readonly #registry: () => Registry;
  readonly #variables: () => AdmissionVariables;

  constructor(registry: () => Registry, variables: () => AdmissionVariables) {
    this.#registry = registry;
    this.#variables = variables;
  }

  readonly plugin: AdmissionPlugin = {
    name: 'MutatingAdmissionPolicy',
    operations: ['CREATE', 'UPDATE'],
    admit: (request) => this.#admit(request),
  };

  #admit(request: AdmissionRequest): void {
    const registry = this.#registry();
    const bindings = registry.hub.cacheOf(registry.require(group, 'v1', 'mutatingadmissionpolicybindings')).list('');
    if (bindings.length === 0 || request.object === undefined) return;
    const policies = registry.hub.cacheOf(registry.require(group, 'v1', 'mutatingadmissionpolicies'));
    for (const { object } of bindings) {
      const binding = object as MutatingAdmissionPolicyBinding;
      const policy = policies.get(binding.spec.policyName ?? '')?.object as MutatingAdmissionPolicy | undefined;
      if (policy !== undefined) this.#apply(policy, binding, request);
    }
  }

  #apply(policy: MutatingAdmissionPolicy, binding: MutatingAdmissionPolicyBinding, request: AdmissionRequest): void {
    const registry = this.#registry();
    const shown = matchResources(registry, policy.spec.matchConstraints, request);
    if (shown === undefined) return;
    const { matchResources: narrower } = binding.spec;
    if (narrower !== undefined && matchResources(registry, narrower, request) === undefined) return;
    try {
      for (const params of paramsOf(registry, policy.spec.paramKind, binding.spec.paramRef, request.namespace)) {
        this.#mutate(policy, request, shown, params);
      }
    } catch (error) {
      if (!(error instanceof PolicyEvaluationError)) throw error;
      if (policy.spec.failurePolicy === 'Ignore') return;
      const who = `MutatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
      throw forbidden(request.row.handle, request.name, `${who} denied request: ${error.message}`);
    }
  }

  /** Each mutation sees what those before it have made. */
  #mutate(
    policy: MutatingAdmissionPolicy,
    request: AdmissionRequest,
    shown: ResourceRow,
    params: KubernetesObject | undefined,
  ): void {
    const { matchConditions = [], variables: declared = [], mutations = [] } = policy.spec;
    const variables = () =>
      withPolicyVariables(declared, { ...this.#variables().of(request, shown), params: toCel(params ?? null) });
    if (!matchConditionsHold(matchConditions, variables())) return;
    for (const mutation of mutations) {
      const next = mutated(mutation, inVersionOf(request.row, shown, request.object)!, variables(), shown);
      const { definition } = shown.handle;
      replaceObject(request, inVersionOf(shown, request.row, decodeObject<KubernetesObject>(definition, next).object)!);
    }
  }
}

function mutated(mutation: Mutation, object: KubernetesObject, variables: Variables, shown: ResourceRow): unknown {
  const { patchType, jsonPatch, applyConfiguration } = mutation;
  const expression = (patchType === 'JSONPatch' ? jsonPatch : applyConfiguration)?.expression ?? '';
  const value = fromCel(evaluateExpression(messagesAsMaps(expression), variables));
  if (patchType === 'JSONPatch') {
    try {
      return applyJsonPatch(object, value);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new PolicyEvaluationError(`JSON Patch: ${error.message}`);
    }
  }
  if (!isObject(value)) throw new PolicyEvaluationError('the apply configuration must be an object');
  return mergeApplied({ ...object }, value, shapeOfDefinition(shown.handle.definition));
}
