import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from '../../apimachinery/types/apiextensions-v1.ts';
import { jsonEqual } from '../registry/deep-equal.ts';
import {
  type Errors,
  forbidden,
  immutableMessage,
  invalid,
  notSupported,
  required,
} from '../validation/field-error.ts';
import { prunedCopy } from './coerce.ts';
import { compileJsonPath, JsonPathError } from './json-path.ts';
import { isJsonObject, type JsonSchema, schemaOf } from './json-schema.ts';
import { checkRules } from './rules.ts';
import { validateValue } from './schema-validation.ts';
import { structuralErrors } from './structural.ts';

export const approvalAnnotation = 'api-approved.kubernetes.io';

/** Groups that belong to the project Kubernetes: what is in them has been reviewed there. */
export function isProtectedGroup(group: string): boolean {
  return /(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group);
}

function validateApproval(group: string, approval: string | undefined, errors: Errors): void {
  if (!isProtectedGroup(group)) return;
  const field = `metadata.annotations[${approvalAnnotation}]`;
  const see = 'see https://github.com/kubernetes/enhancements/pull/1111';
  if (!approval) {
    required(
      errors,
      field,
      `protected groups must have approval annotation ${JSON.stringify(approvalAnnotation)}, ${see}`,
    );
  } else if (!approval.startsWith('unapproved') && !URL.canParse(approval)) {
    const form = 'https://github.com/kubernetes/enhancements/pull/1111';
    invalid(
      errors,
      field,
      approval,
      `protected groups must have approval annotation ${JSON.stringify(approvalAnnotation)} with either a URL or a reason starting with "unapproved", see ${form}`,
    );
  }
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const schemaTypes = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** What the versions of a definition say: schemas, rules, columns, subresources. */
export function validateVersions({ metadata, spec }: CustomResourceDefinition, errors: Errors): void {
  if (spec?.preserveUnknownFields === true) {
    const why =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
    invalid(errors, 'spec.preserveUnknownFields', true, why);
  }
  validateApproval(spec?.group ?? '', metadata?.annotations?.[approvalAnnotation], errors);
  const names = new Set<string>();
  for (const [index, version] of (spec?.versions ?? []).entries()) {
    const at = `spec.versions[${index}]`;
    if (names.has(version.name))
      invalid(
        errors,
        'spec.versions',
        spec.versions.map(({ name }) => name),
        'must contain unique version names',
      );
    names.add(version.name);
    if (version.deprecationWarning !== undefined && version.deprecated !== true) {
      invalid(
        errors,
        `${at}.deprecationWarning`,
        version.deprecationWarning,
        'can only be set for deprecated versions',
      );
    }
    validateColumns(version, at, errors);
    validateScale(version, at, errors);
    if (version.schema?.openAPIV3Schema === undefined) continue;
    const path = `${at}.schema.openAPIV3Schema`;
    const schema = schemaOf(version);
    const structural = structuralErrors(schema, path);
    errors.push(...structural);
    validateNodes(schema, path, errors);
    if (structural.length === 0) validateDefaults(schema, path, errors);
  }
  validateConversion(spec, errors);
}

/** What may not change any more, and versions that may still be in the store. */
export function validateDefinitionUpdate(
  next: CustomResourceDefinition,
  old: CustomResourceDefinition,
  errors: Errors,
): void {
  const isEstablished = old.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True');
  const keep = (field: string, value: string, before: string) => {
    if (value !== before) invalid(errors, field, value, immutableMessage);
  };
  keep('spec.group', next.spec.group, old.spec.group);
  keep('spec.names.plural', next.spec.names.plural, old.spec.names.plural);
  if (isEstablished) {
    keep('spec.scope', next.spec.scope, old.spec.scope);
    keep('spec.names.kind', next.spec.names.kind, old.spec.names.kind);
  }
  const versions = new Set(next.spec.versions.map(({ name }) => name));
  for (const [index, version] of (old.status?.storedVersions ?? []).entries()) {
    if (versions.has(version)) continue;
    const why = `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`;
    invalid(errors, `status.storedVersions[${index}]`, version, why);
  }
}

function validateConversion(spec: CustomResourceDefinition['spec'], errors: Errors): void {
  const { conversion } = spec ?? {};
  if (conversion === undefined) return;
  const { strategy, webhook } = conversion;
  if (strategy !== 'None' && strategy !== 'Webhook') {
    notSupported(errors, 'spec.conversion.strategy', strategy, ['None', 'Webhook']);
    return;
  }
  const at = 'spec.conversion.webhook';
  if (strategy === 'None') {
    if (webhook !== undefined) forbidden(errors, at, 'should not be set when strategy is not set to Webhook');
    return;
  }
  if (webhook?.clientConfig === undefined) {
    required(errors, `${at}.clientConfig`, 'required when strategy is set to Webhook');
  }
  if ((webhook?.conversionReviewVersions?.length ?? 0) === 0) required(errors, `${at}.conversionReviewVersions`);
}

function validateColumns(version: CustomResourceDefinitionVersion, at: string, errors: Errors): void {
  for (const [index, column] of (version.additionalPrinterColumns ?? []).entries()) {
    const path = `${at}.additionalPrinterColumns[${index}]`;
    if (!column.name) required(errors, `${path}.name`);
    if (!column.type) required(errors, `${path}.type`, `must be one of ${columnTypes.join(',')}`);
    else if (!columnTypes.includes(column.type)) {
      invalid(errors, `${path}.type`, column.type, `must be one of ${columnTypes.join(',')}`);
    }
    if (!column.jsonPath) required(errors, `${path}.jsonPath`);
    else checkPath(column.jsonPath, `${path}.jsonPath`, errors);
  }
  for (const [index, { jsonPath }] of (version.selectableFields ?? []).entries()) {
    checkPath(jsonPath, `${at}.selectableFields[${index}].jsonPath`, errors);
  }
}

function checkPath(path: string, field: string, errors: Errors): void {
  try {
    if (!/^\.|^\[/.test(path)) throw new JsonPathError('must be a simple json path starting with .');
    compileJsonPath(path);
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    invalid(errors, field, path, error.message);
  }
}

function validateScale(version: CustomResourceDefinitionVersion, at: string, errors: Errors): void {
  const { scale } = version.subresources ?? {};
  if (scale === undefined) return;
  const path = `${at}.subresources.scale`;
  const check = (name: 'specReplicasPath' | 'statusReplicasPath' | 'labelSelectorPath', starts: readonly string[]) => {
    const value = scale[name];
    if (!value) {
      if (name !== 'labelSelectorPath') required(errors, `${path}.${name}`);
    } else if (!starts.some((start) => value.startsWith(start))) {
      invalid(errors, `${path}.${name}`, value, `should be a json path under ${starts.join(' or ')}`);
    }
  };
  check('specReplicasPath', ['.spec.']);
  check('statusReplicasPath', ['.status.']);
  check('labelSelectorPath', ['.spec.', '.status.']);
}

/** Types, patterns and rules of every node. */
function validateNodes(schema: JsonSchema, path: string, errors: Errors): void {
  if (schema.type && !schemaTypes.includes(schema.type)) notSupported(errors, `${path}.type`, schema.type, schemaTypes);
  checkRules(schema, path, errors);
  if (schema.items !== undefined && !Array.isArray(schema.items)) validateNodes(schema.items, `${path}.items`, errors);
  if (typeof schema.additionalProperties === 'object') {
    validateNodes(schema.additionalProperties, `${path}.additionalProperties`, errors);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    validateNodes(property, `${path}.properties[${name}]`, errors);
  }
}

/** A default is a value that its own schema would accept. */
function validateDefaults(schema: JsonSchema, path: string, errors: Errors): void {
  if (schema.default !== undefined) {
    const at = `${path}.default`;
    if (isJsonObject(schema.default)) {
      const pruned = prunedCopy(schema.default, schema);
      if (!jsonEqual(pruned, schema.default)) invalid(errors, at, schema.default, 'must not have unknown fields');
    }
    validateValue(schema.default, schema, at, errors);
  }
  if (schema.items !== undefined) validateDefaults(schema.items, `${path}.items`, errors);
  if (typeof schema.additionalProperties === 'object') {
    validateDefaults(schema.additionalProperties, `${path}.additionalProperties`, errors);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    validateDefaults(property, `${path}.properties[${name}]`, errors);
  }
}
