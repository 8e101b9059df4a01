import type { ApiError } from '../../apimachinery/api-error.ts';
import type { Resource } from '../../apimachinery/resource.ts';
import type { FieldError } from '../resources/resource-row.ts';
import { invalid } from '../status-errors.ts';

/** The 422 `Invalid` of an object: `Deployment.apps "x" is invalid: [a, b]`, one cause for each broken rule. */
export function invalidError(handle: Resource, name: string, errors: readonly FieldError[]): ApiError {
  return invalid(handle, name, errors);
}
