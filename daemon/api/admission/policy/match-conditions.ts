import type { MatchCondition } from '../../../apimachinery/types/admissionregistration-v1.ts';
import { CelCompileError, CelCompiler, CelRuntimeError } from '../../cel/environment.ts';
import { registerAuthorizerFunctions } from './authorizer-functions.ts';
import type { Variables } from './variables.ts';

/** An expression of a webhook or policy that could not be evaluated: its failure policy says what follows. */
export class PolicyEvaluationError extends Error {
  override readonly name = 'PolicyEvaluationError';
}

/** Compiles expressions over what admission can look at; `variables` of policies come on top. */
export const admissionCompiler: CelCompiler = new CelCompiler(
  {
    object: 'dyn',
    oldObject: 'dyn',
    request: 'dyn',
    namespaceObject: 'dyn',
    params: 'dyn',
    variables: 'dyn',
    authorizer: 'kubernetes.Authorizer',
  },
  registerAuthorizerFunctions,
);

/** Whether all conditions hold. One that is false settles it; else one that fails is an error. */
export function matchConditionsHold(conditions: readonly MatchCondition[], variables: Variables): boolean {
  const failures: string[] = [];
  for (const { name, expression } of conditions) {
    try {
      if (admissionCompiler.compile(expression).evaluate(variables) !== true) return false;
    } catch (error) {
      if (error instanceof CelRuntimeError) {
        failures.push(`expression '${expression}' resulted in error: ${error.message}`);
      } else if (error instanceof CelCompileError) failures.push(`compilation error in ${name}: ${error.message}`);
      else throw error;
    }
  }
  if (failures.length > 0) throw new PolicyEvaluationError(failures.join(', '));
  return true;
}
