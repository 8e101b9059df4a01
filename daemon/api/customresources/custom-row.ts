import { apiVersionOf, type KubernetesObject, type Resource } from '../../apimachinery/resource.ts';
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  CustomResourceSubresourceScale,
} from '../../apimachinery/types/apiextensions-v1.ts';
import type { WebhookClient } from '../admission/webhook/webhook-client.ts';
import { customPrefix, setCustomDefinition } from '../codec/custom-definitions.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { FieldError, ResourceRow, ScalePaths, UpdateStrategy } from '../resources/resource-row.ts';
import { keepStatus } from '../resources/status-separation.ts';
import type { Errors } from '../validation/field-error.ts';
import { dns1123Subdomain } from '../validation/names.ts';
import { validateObjectMeta } from '../validation/object-meta.ts';
import { applyDefaults, dropNulls, hasDefaults } from './coerce.ts';
import { customColumns } from './columns.ts';
import { type Convert, webhookConversion } from './conversion.ts';
import { customDecoder } from './decode.ts';
import { compileJsonPath } from './json-path.ts';
import { type JsonObject, type JsonSchema, schemaOf } from './json-schema.ts';
import { dropUnchanged } from './ratchet.ts';
import { hasRules, validateRules } from './rules.ts';
import { validateListTypes, validateValue } from './schema-validation.ts';
import { shapeOfResource } from './shape.ts';

export const customVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update'];

/** Errors after which rules would only add noise: the value does not have the form they count on. */
const blocking: ReadonlySet<FieldError['type']> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

function handleOf(crd: CustomResourceDefinition, version: CustomResourceDefinitionVersion, scope: string): Resource {
  const { group, names } = crd.spec;
  const { subresources } = version;
  return {
    group,
    version: version.name,
    resource: names.plural,
    kind: names.kind,
    namespaced: crd.spec.scope === 'Namespaced',
    verbs: customVerbs,
    subresources: [
      ...(subresources?.status === undefined ? [] : ['status']),
      ...(subresources?.scale === undefined ? [] : ['scale']),
    ],
    definition: `${customPrefix}${scope}/${group}/${version.name}/${names.kind}`,
  };
}

/** The validation of a version's objects, against its schema and what holds for all objects. */
function validationOf(handle: Resource, schema: JsonSchema) {
  const ruled = hasRules(schema);
  return (object: KubernetesObject, old: KubernetesObject | undefined): FieldError[] => {
    const errors: Errors = [];
    validateObjectMeta(object, handle.namespaced, dns1123Subdomain, errors);
    const { metadata: _metadata, ...value } = object as JsonObject;
    const { metadata: _old, ...before } = (old ?? {}) as JsonObject;
    const found: Errors = [];
    validateValue(value, withoutTypeFields(schema), '', found);
    validateListTypes(value, schema, '', found);
    const kept = old === undefined ? found : dropUnchanged(found, value, before, schema);
    errors.push(...kept);
    if (!ruled) return errors;
    if (kept.some(({ type }) => blocking.has(type))) {
      errors.push({
        type: 'FieldValueInvalid',
        field: '<nil>',
        detail:
          'Invalid value: "null": some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
      });
      return errors;
    }
    validateRules(object, old, schema, '', true, errors);
    return errors;
  };
}

/** The object's own metadata is checked by its type: a schema's `metadata` only limits names, and is required nowhere. */
function withoutTypeFields(schema: JsonSchema): JsonSchema {
  const required = schema.required?.filter((name) => name !== 'metadata');
  const { metadata: _metadata, ...properties } = schema.properties ?? {};
  return { ...schema, properties, ...(required === undefined ? {} : { required }) };
}

function scaleOf(scale: CustomResourceSubresourceScale): ScalePaths<KubernetesObject> {
  const specReplicas = compileJsonPath(scale.specReplicasPath);
  const statusReplicas = compileJsonPath(scale.statusReplicasPath);
  const selector = scale.labelSelectorPath ? compileJsonPath(scale.labelSelectorPath) : () => [];
  const number = (values: readonly unknown[]) => (typeof values[0] === 'number' ? values[0] : 0);
  const steps = scale.specReplicasPath.split('.').filter((step) => step !== '');
  return {
    replicas: (object) => number(specReplicas(object)),
    statusReplicas: (object) => number(statusReplicas(object)),
    selector: (object) => {
      const [text] = selector(object);
      return typeof text === 'string' ? text : '';
    },
    setReplicas: (object, replicas) => {
      let at = object as JsonObject;
      for (const step of steps.slice(0, -1)) {
        at[step] ??= {};
        at = at[step] as JsonObject;
      }
      at[steps[steps.length - 1]!] = replicas;
    },
  };
}

/** The status path: everything but the status is the old object's, and who manages what. */
function keepAllButStatus(object: KubernetesObject, old: KubernetesObject): void {
  const next = object as JsonObject;
  const { status } = next;
  const managedFields = object.metadata?.managedFields;
  for (const name of Object.keys(next)) delete next[name];
  Object.assign(next, cloneObject(old));
  if (managedFields !== undefined) object.metadata!.managedFields = managedFields;
  if (status === undefined) delete next['status'];
  else next['status'] = status;
}

function selectableOf(version: CustomResourceDefinitionVersion): Pick<ResourceRow, 'selectableFields'> {
  const fields = (version.selectableFields ?? []).map(
    ({ jsonPath }) => [jsonPath.replace(/^\./, ''), compileJsonPath(jsonPath)] as const,
  );
  if (fields.length === 0) return {};
  const text = (value: unknown) => (value === undefined || value === null ? '' : String(value));
  return {
    selectableFields: (object) => Object.fromEntries(fields.map(([name, find]) => [name, text(find(object)[0])])),
  };
}

/**
 * The rows of a custom resource, one for each served version and one for the stored version in any case: that of the
 * stored version comes first. `scope` sets apart the definitions of two servers in one process.
 */
export function customRows(
  crd: CustomResourceDefinition,
  scope: string,
  client?: WebhookClient,
): { readonly storage: ResourceRow; readonly served: readonly ResourceRow[] } {
  const storageVersion = crd.spec.versions.find((version) => version.storage);
  if (storageVersion === undefined) throw new Error(`${crd.metadata.name}: no storage version`);
  const storage = rowOf(crd, storageVersion, scope, undefined, client);
  const others = crd.spec.versions
    .filter((version) => version.served && version !== storageVersion)
    .map((version) => rowOf(crd, version, scope, storage.handle, client));
  return { storage, served: storageVersion.served ? [storage, ...others] : others };
}

/** Without a path of its own the status is as good as the spec. */
const onlyMetadata: ReadonlySet<string> = new Set(['metadata', 'apiVersion', 'kind']);

function rowOf(
  crd: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  scope: string,
  storedHandle: Resource | undefined,
  client: WebhookClient | undefined,
): ResourceRow {
  const { group, names } = crd.spec;
  const handle = handleOf(crd, version, scope);
  const schema = schemaOf(version);
  setCustomDefinition(handle.definition, { decode: customDecoder(schema), shape: shapeOfResource(schema) });
  const hasStatus = version.subresources?.status !== undefined;
  const validate = validationOf(handle, schema);
  const defaulted = hasDefaults(schema);
  const defaults = (object: KubernetesObject): void => {
    const { metadata, ...value } = object as JsonObject;
    dropNulls(value, schema);
    if (defaulted) applyDefaults(value, schema);
    for (const name of Object.keys(object)) delete (object as JsonObject)[name];
    Object.assign(object, value, { metadata });
  };
  const apiVersion = apiVersionOf(handle);
  const { conversion } = crd.spec;
  const byWebhook =
    conversion?.strategy === 'Webhook' && client !== undefined
      ? webhookConversion(client, conversion, handle)
      : undefined;
  const convert: Convert | undefined =
    byWebhook === undefined
      ? undefined
      : async (objects) => {
          const converted = await byWebhook(objects);
          for (const object of converted) defaults(object);
          return converted;
        };
  const inThisVersion = (object: KubernetesObject, own: string): KubernetesObject => {
    const copy = cloneObject(object);
    copy.apiVersion = own;
    return copy;
  };
  const statusStrategy: UpdateStrategy<KubernetesObject> = {
    prepareForUpdate: keepAllButStatus,
    validateUpdate: (object, old) => validate(object, old),
  };
  const { scale } = version.subresources ?? {};
  const warning = version.deprecationWarning ?? `${apiVersion} ${names.kind} is deprecated`;
  return {
    handle,
    singular: names.singular || names.kind.toLowerCase(),
    ...(names.shortNames === undefined ? {} : { shortNames: names.shortNames }),
    ...(names.categories === undefined ? {} : { categories: names.categories }),
    storage: `${group}/${names.plural}`,
    columns: customColumns(version),
    ...selectableOf(version),
    hasGeneration: true,
    ...(hasStatus ? {} : { generationIgnores: onlyMetadata }),
    defaults,
    normalizeStored: (object) => {
      // What only a webhook can convert stays what it is until that is asked.
      if (convert !== undefined && object.apiVersion !== apiVersion) return;
      object.apiVersion = apiVersion;
      defaults(object);
    },
    ...(convert === undefined ? {} : { convert }),
    prepareForCreate: (object) => {
      if (hasStatus) delete (object as JsonObject)['status'];
    },
    prepareForUpdate: (object, old) => {
      if (hasStatus) keepStatus(object, old);
    },
    validate: (object) => validate(object, undefined),
    validateUpdate: (object, old) => validate(object, old),
    ...(version.deprecated === true ? { warnings: () => [warning] } : {}),
    ...(hasStatus ? { statusStrategy } : {}),
    ...(scale === undefined ? {} : { scale: scaleOf(scale) }),
    allowCreateOnUpdate: false,
    allowUnconditionalUpdate: false,
    ...(storedHandle === undefined
      ? {}
      : {
          stored: {
            handle: storedHandle,
            fromStored: (stored) => {
              const object = inThisVersion(stored, apiVersion);
              defaults(object);
              return object;
            },
            toStored: (object) => inThisVersion(object, apiVersionOf(storedHandle)),
          },
        }),
  };
}
