import { apiVersionOf, type Resource } from '../../apimachinery/resource.ts';
import { badRequest, invalid } from '../status-errors.ts';
import { DecodeError, decodeObject } from './decode.ts';
import { countKeysInText, duplicateKeys } from './duplicate-keys.ts';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** A request's body: parsed, with the text it came from when there was one (duplicate keys show only there). */
export interface RequestBody {
  readonly value: unknown;
  readonly text?: string;
  /** Duplicate keys that the parser itself has met (YAML). */
  readonly duplicates?: readonly string[];
}

type BodyKind = Pick<Resource, 'group' | 'version' | 'kind' | 'definition'>;

/** A value as Go prints it with `%+v`: what a refused patch is quoted as. */
function goValue(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, item]) => `${key}:${goValue(item)}`).join(' ')}]`;
}

/** A patched object that is none: 422, with the patch (strategic) or the patched object (others) as the value refused. */
export function invalidPatch(shown: unknown, why: string): Error {
  const text = typeof shown === 'string' ? shown : goValue(shown);
  return invalid({ group: '', kind: '' }, '', [
    { type: 'FieldValueInvalid', field: 'patch', detail: `Invalid value: ${JSON.stringify(text)}: ${why}` },
  ]);
}

/** The start of a body, for an error message. */
function summary(body: RequestBody): string {
  const text = body.text ?? JSON.stringify(body.value) ?? '';
  return text.length > 30 ? `${text.slice(0, 30)} ...` : text;
}

/** The body is no JSON or YAML that could be an object at all. */
export function unreadableBody(kind: string, why: string, text: string): Error {
  return badRequest(
    `the object provided is unrecognized (must be of type ${kind}): ${why} (${text.length > 30 ? `${text.slice(0, 30)} ...` : text})`,
  );
}

/**
 * The body as an object of `kind`: types checked, unknown fields dropped and, by `validation`, reported as warnings or
 * refused with 400 as Kubernetes does. The result shares nothing with the body.
 */
export function decodeBody<T extends object>(
  kind: BodyKind,
  body: RequestBody,
  validation: FieldValidation,
  warn: (text: string) => void,
  refuse: (why: string, label: string) => Error = (why, label) => badRequest(`${label}: ${why}`),
): T {
  const { value } = body;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = Array.isArray(value)
      ? 'array'
      : value === null
        ? 'null'
        : typeof value === 'boolean'
          ? 'bool'
          : typeof value;
    throw unreadableBody(
      kind.kind,
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${found} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
      summary(body),
    );
  }
  const source = value as { apiVersion?: unknown; kind?: unknown };
  const expected = apiVersionOf(kind);
  const apiVersion = source.apiVersion ?? '';
  const kindName = source.kind ?? '';
  if (typeof apiVersion !== 'string' || typeof kindName !== 'string') {
    throw unreadableBody(
      kind.kind,
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${typeof apiVersion === 'string' ? typeof kindName : typeof apiVersion} into Go struct field .${typeof apiVersion === 'string' ? 'kind' : 'apiVersion'} of type string`,
      summary(body),
    );
  }
  const label = `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}`;
  if (kindName !== '' && kindName !== kind.kind) {
    const version = apiVersion === '' ? kind.version : apiVersion.slice(apiVersion.indexOf('/') + 1);
    throw badRequest(
      `${kindName} in version "${version}" cannot be handled as a ${kind.kind}: converting (${version}.${kindName}) to (${kind.version}.${kind.kind}): unknown conversion`,
    );
  }
  if (apiVersion !== '' && apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  try {
    const decoded = decodeObject<T>(kind.definition, value);
    if (validation !== 'Ignore') report(body, decoded.unknownFields, decoded.keys, validation, label, warn, refuse);
    return Object.assign(decoded.object, { kind: kind.kind, apiVersion: expected });
  } catch (error) {
    if (error instanceof DecodeError) throw refuse(error.message, label);
    throw error;
  }
}

function report(
  body: RequestBody,
  unknown: readonly string[],
  keys: number,
  validation: FieldValidation,
  label: string,
  warn: (text: string) => void,
  refuse: (why: string, label: string) => Error,
): void {
  const duplicates =
    body.duplicates ?? (body.text !== undefined && countKeysInText(body.text) !== keys ? duplicateKeys(body.text) : []);
  if (unknown.length === 0 && duplicates.length === 0) return;
  const problems = [
    ...duplicates.map((field) => `duplicate field "${field}"`),
    ...unknown.map((field) => `unknown field "${field}"`),
  ];
  if (validation === 'Strict') throw refuse(`strict decoding error: ${problems.join(', ')}`, label);
  for (const problem of problems) warn(problem);
}
