import { labelKeyErrors, labelValueErrors } from '../../apimachinery/label-syntax.ts';
import type {
  Affinity,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from '../../apimachinery/types/core-v1.ts';
import { duplicate, type Errors, forbidden, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { validateLabelSelector } from './label-selector.ts';
import { dns1123Label, inclusiveRange, positive } from './names.ts';

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTaintEffect(
  effect: string | undefined,
  allowEmpty: boolean,
  field: string,
  errors: Errors,
): void {
  if (!effect) {
    if (!allowEmpty) required(errors, field);
  } else if (!taintEffects.includes(effect)) notSupported(errors, field, effect, taintEffects);
}

export function validateTolerations(
  tolerations: readonly Toleration[] | undefined,
  field: string,
  errors: Errors,
): void {
  for (const [index, toleration] of (tolerations ?? []).entries()) {
    const at = `${field}[${index}]`;
    const { key = '', operator = '', value = '', effect = '' } = toleration;
    if (key !== '') invalidAll(errors, `${at}.key`, key, labelKeyErrors(key));
    if (key === '' && operator !== 'Exists') {
      invalid(
        errors,
        `${at}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    }
    if (toleration.tolerationSeconds !== undefined && effect !== 'NoExecute') {
      invalid(errors, `${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (operator === '' || operator === 'Equal') {
      const messages = labelValueErrors(value);
      if (messages.length > 0) invalid(errors, `${at}.operator`, value, messages.join(';'));
    } else if (operator === 'Exists') {
      if (value !== '') invalid(errors, `${at}.operator`, value, "value must be empty when `operator` is 'Exists'");
    } else notSupported(errors, `${at}.operator`, operator, ['Equal', 'Exists']);
    validateTaintEffect(effect, true, `${at}.effect`, errors);
  }
}

const nodeOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'];

export function validateNodeSelectorTerm(term: NodeSelectorTerm, field: string, errors: Errors): void {
  for (const [index, { key, operator, values = [] }] of (term.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`;
    validateNodeRequirement(operator, values, at, errors);
    invalidAll(errors, `${at}.key`, key, labelKeyErrors(key));
    for (const [place, value] of values.entries()) {
      invalidAll(errors, `${at}.values[${place}]`, value, labelValueErrors(value));
    }
  }
  for (const [index, { key, operator, values = [] }] of (term.matchFields ?? []).entries()) {
    const at = `${field}.matchFields[${index}]`;
    if (operator !== 'In' && operator !== 'NotIn')
      invalid(errors, `${at}.operator`, operator, 'not a valid selector operator');
    else if (values.length !== 1) {
      required(
        errors,
        `${at}.values`,
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      );
    }
    if (key !== 'metadata.name') invalid(errors, `${at}.key`, key, 'not a valid field selector key');
  }
}

function validateNodeRequirement(operator: string, values: readonly string[], at: string, errors: Errors): void {
  if (!nodeOperators.includes(operator)) {
    invalid(errors, `${at}.operator`, operator, 'not a valid selector operator');
  } else if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) required(errors, `${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (operator === 'Gt' || operator === 'Lt') {
    if (values.length !== 1) {
      required(errors, `${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'");
    }
  } else if (values.length > 0) {
    forbidden(errors, `${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  }
}

function validatePodAffinityTerm(term: PodAffinityTerm, field: string, errors: Errors): void {
  validateLabelSelector(term.labelSelector, `${field}.labelSelector`, errors);
  validateLabelSelector(term.namespaceSelector, `${field}.namespaceSelector`, errors);
  for (const name of term.namespaces ?? []) invalidAll(errors, `${field}.namespace`, name, dns1123Label(name));
  if (!term.topologyKey) required(errors, `${field}.topologyKey`, 'can not be empty');
  else invalidAll(errors, `${field}.topologyKey`, term.topologyKey, labelKeyErrors(term.topologyKey));
}

const weightMessage = 'must be in the range 1-100';

export function validateAffinity(affinity: Affinity | undefined, field: string, errors: Errors): void {
  if (affinity === undefined) return;
  const node = affinity.nodeAffinity;
  if (node !== undefined) {
    const at = `${field}.nodeAffinity`;
    const hard = node.requiredDuringSchedulingIgnoredDuringExecution;
    if (hard !== undefined) {
      const terms = `${at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
      if ((hard.nodeSelectorTerms?.length ?? 0) === 0)
        required(errors, terms, 'must have at least one node selector term');
      for (const [index, term] of (hard.nodeSelectorTerms ?? []).entries()) {
        validateNodeSelectorTerm(term, `${terms}[${index}]`, errors);
      }
    }
    for (const [index, soft] of (node.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const term = `${at}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
      if (soft.weight <= 0 || soft.weight > 100) invalid(errors, `${term}.weight`, soft.weight, weightMessage);
      validateNodeSelectorTerm(soft.preference ?? {}, `${term}.preference`, errors);
    }
  }
  for (const name of ['podAffinity', 'podAntiAffinity'] as const) {
    const side = affinity[name];
    for (const [index, term] of (side?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      validatePodAffinityTerm(
        term,
        `${field}.${name}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`,
        errors,
      );
    }
    for (const [index, soft] of (side?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const at = `${field}.${name}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
      if (soft.weight <= 0 || soft.weight > 100) invalid(errors, `${at}.weight`, soft.weight, weightMessage);
      if (soft.podAffinityTerm === undefined) required(errors, `${at}.podAffinityTerm`);
      else validatePodAffinityTerm(soft.podAffinityTerm, `${at}.podAffinityTerm`, errors);
    }
  }
}

const unsatisfiable = ['DoNotSchedule', 'ScheduleAnyway'];

const inclusionPolicies = ['Honor', 'Ignore'];

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[] | undefined,
  field: string,
  errors: Errors,
): void {
  if (constraints === undefined) return;
  for (const [index, constraint] of constraints.entries()) {
    const at = `${field}[${index}]`;
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains } = constraint;
    if (!(maxSkew > 0)) invalid(errors, `${at}.maxSkew`, maxSkew ?? 0, positive);
    if (!topologyKey) required(errors, `${at}.topologyKey`, 'can not be empty');
    if (!unsatisfiable.includes(whenUnsatisfiable)) {
      notSupported(errors, `${at}.whenUnsatisfiable`, whenUnsatisfiable ?? '', unsatisfiable);
    }
    const again = constraints.slice(index + 1).some((other) => {
      return other.topologyKey === topologyKey && other.whenUnsatisfiable === whenUnsatisfiable;
    });
    if (again) {
      duplicate(errors, `${at}.{topologyKey, whenUnsatisfiable}`, `{${topologyKey}, ${whenUnsatisfiable}}`);
    }
    if (minDomains !== undefined) {
      if (minDomains <= 0) invalid(errors, `${at}.minDomains`, minDomains, positive);
      if (whenUnsatisfiable !== 'DoNotSchedule') {
        const message = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
        invalid(errors, `${at}.minDomains`, minDomains, message);
      }
    }
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const) {
      const policy = constraint[name];
      if (policy !== undefined && !inclusionPolicies.includes(policy)) {
        notSupported(errors, `${at}.${name}`, policy, inclusionPolicies);
      }
    }
    validateLabelSelector(constraint.labelSelector, `${at}.labelSelector`, errors);
  }
}

export const deadlineMessage = inclusiveRange(1, 0x7fffffff);
