import { labelKeyErrors, labelValueErrors } from '../../apimachinery/label-syntax.ts';
import type { LabelSelector } from '../../apimachinery/types/meta-v1.ts';
import { type Errors, forbidden, invalid, invalidAll, required } from './field-error.ts';
import { validateLabels } from './object-meta.ts';

export function validateLabelSelector(selector: LabelSelector | undefined, field: string, errors: Errors): void {
  if (selector === undefined) return;
  validateLabels(selector.matchLabels, `${field}.matchLabels`, errors);
  for (const [index, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          required(errors, `${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) {
          forbidden(errors, `${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        break;
      default:
        invalid(errors, `${at}.operator`, operator, 'not a valid selector operator');
    }
    invalidAll(errors, `${at}.key`, key, labelKeyErrors(key));
    for (const [place, value] of values.entries()) {
      invalidAll(errors, `${at}.values[${place}]`, value, labelValueErrors(value));
    }
  }
}

export function isEmptySelector(selector: LabelSelector): boolean {
  for (const _ in selector.matchLabels) return false;
  return (selector.matchExpressions?.length ?? 0) === 0;
}
