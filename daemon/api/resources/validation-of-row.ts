import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import {
  defaultNameCheck,
  type KindRules,
  rulesOf,
  runValidate,
  runValidateUpdate,
} from '../validation/builtin-validation.ts';
import type { Errors } from '../validation/field-error.ts';
import { validateObjectMeta } from '../validation/object-meta.ts';
import type { FieldError, UpdateStrategy } from './resource-row.ts';

type ValidateUpdate = NonNullable<UpdateStrategy<KubernetesObject>['validateUpdate']>;

interface RowValidation {
  readonly validate: (object: KubernetesObject) => FieldError[];
  readonly validateUpdate: ValidateUpdate;
  readonly validateStatusUpdate: ValidateUpdate;
  readonly subresource: (name: string) => ValidateUpdate;
}

/** The metadata rules of all kinds together with those of one. */
export function validationOf(handle: Resource): RowValidation {
  const kind: KindRules = rulesOf(handle);
  const name = kind.name ?? defaultNameCheck;
  const withMeta = (object: KubernetesObject, rest: (errors: Errors) => void): Errors => {
    const errors: Errors = [];
    validateObjectMeta(object, handle.namespaced, name, errors);
    rest(errors);
    return errors;
  };
  return {
    validate: (object) => withMeta(object, (errors) => runValidate(kind.validate, object, errors)),
    validateUpdate: (object, old) =>
      withMeta(object, (errors) => {
        if (kind.validateUpdate === undefined) runValidate(kind.validate, object, errors);
        else runValidateUpdate(kind.validateUpdate, object, old, errors);
      }),
    validateStatusUpdate: (object, old) =>
      withMeta(object, (errors) => runValidateUpdate(kind.validateStatusUpdate, object, old, errors)),
    subresource: (subresource) => (object, old) =>
      withMeta(object, (errors) => runValidateUpdate(kind.subresources?.[subresource], object, old, errors)),
  };
}
