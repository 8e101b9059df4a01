import type { FieldError } from '../resources/resource-row.ts';

/**
 * Broken rules, worded as Kubernetes' `field` package words them. Validators push into one list: what is right costs
 * nothing but the check.
 */
export type Errors = FieldError[];

/** A value as an error message shows it: text quoted, everything else as JSON. */
function shown(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}

const withDetail = (head: string, detail: string) => (detail === '' ? head : `${head}: ${detail}`);

export function required(errors: Errors, field: string, detail = ''): void {
  errors.push({ type: 'FieldValueRequired', field, detail: withDetail('Required value', detail) });
}

export function invalid(errors: Errors, field: string, value: unknown, detail: string): void {
  errors.push({ type: 'FieldValueInvalid', field, detail: withDetail(`Invalid value: ${shown(value)}`, detail) });
}

export function forbidden(errors: Errors, field: string, detail: string): void {
  errors.push({ type: 'FieldValueForbidden', field, detail: withDetail('Forbidden', detail) });
}

export function duplicate(errors: Errors, field: string, value: unknown): void {
  errors.push({ type: 'FieldValueDuplicate', field, detail: `Duplicate value: ${shown(value)}` });
}

export function notFound(errors: Errors, field: string, value: unknown): void {
  errors.push({ type: 'FieldValueNotFound', field, detail: `Not found: ${shown(value)}` });
}

export function notSupported(errors: Errors, field: string, value: unknown, supported: readonly string[]): void {
  const list = supported.map((one) => JSON.stringify(one)).join(', ');
  errors.push({
    type: 'FieldValueNotSupported',
    field,
    detail: withDetail(`Unsupported value: ${shown(value)}`, list === '' ? '' : `supported values: ${list}`),
  });
}

export function tooLong(errors: Errors, field: string, most: number, unit: 'byte' | 'character' = 'byte'): void {
  const units = most === 1 ? unit : `${unit}s`;
  errors.push({ type: 'FieldValueTooLong', field, detail: `Too long: may not be more than ${most} ${units}` });
}

export function tooMany(errors: Errors, field: string, actual: number, most: number): void {
  const items = most === 1 ? 'item' : 'items';
  errors.push({ type: 'FieldValueTooMany', field, detail: `Too many: ${actual}: must have at most ${most} ${items}` });
}

/** Pushes one `Invalid value` for each message: the way name and format checks report. */
export function invalidAll(errors: Errors, field: string, value: unknown, messages: readonly string[]): void {
  for (const message of messages) invalid(errors, field, value, message);
}

export const immutableMessage = 'field is immutable';
