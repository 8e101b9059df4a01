import { definitionOfKind } from '../codec/schema.ts';
import { type Json, refTo, type SchemaSet } from './schemas.ts';
import { groupVersionPath, type ServedKind } from './served-kinds.ts';

const deleteOptions = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';
const status = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
const patch = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';

const bodyTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const watchTypes = ['application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

const customPatchTypes = patchTypes.filter((type) => !type.includes('strategic'));

interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'integer';
  readonly description: string;
}

const parameter = (name: string, type: QueryParameter['type'], description: string): QueryParameter => ({
  name,
  type,
  description,
});

const pretty = parameter('pretty', 'string', 'Indents the output when true.');
const writeParameters = [
  parameter('dryRun', 'string', 'All: process the request and store nothing.'),
  parameter('fieldManager', 'string', 'Who makes the change, for managed fields.'),
  parameter('fieldValidation', 'string', 'What to do about unknown or duplicate fields: Ignore, Warn or Strict.'),
];
const patchParameters = [
  ...writeParameters,
  parameter('force', 'boolean', 'Take over fields that others manage (apply only).'),
];
const deleteParameters = [
  parameter('dryRun', 'string', 'All: process the request and store nothing.'),
  parameter('gracePeriodSeconds', 'integer', 'How long the object may take to end; 0 ends it at once.'),
  parameter('ignoreStoreReadErrorWithClusterBreakingPotential', 'boolean', 'Delete even what cannot be read.'),
  parameter('orphanDependents', 'boolean', 'Superseded by propagationPolicy.'),
  parameter('propagationPolicy', 'string', 'What becomes of dependents: Orphan, Background or Foreground.'),
];
const listParameters = [
  parameter('allowWatchBookmarks', 'boolean', 'Send BOOKMARK events.'),
  parameter('continue', 'string', 'Token of the page to continue from.'),
  parameter('fieldSelector', 'string', 'Which objects, by their fields.'),
  parameter('labelSelector', 'string', 'Which objects, by their labels.'),
  parameter('limit', 'integer', 'The most objects of one page.'),
  parameter('resourceVersion', 'string', 'The version to read at or to watch from.'),
  parameter('resourceVersionMatch', 'string', 'How resourceVersion binds: Exact or NotOlderThan.'),
  parameter('sendInitialEvents', 'boolean', 'Start a watch with the objects that are there.'),
  parameter('timeoutSeconds', 'integer', 'When to end the call.'),
  parameter('watch', 'boolean', 'Stream changes.'),
];

const readParameters: readonly QueryParameter[] = [];
const connectParameters = [parameter('path', 'string', 'The path to pass on.')];

/** What one operation is made of, before it takes the form of its flavour. */
interface Operation {
  readonly verb: string;
  readonly action: string;
  readonly id: string;
  readonly parameters: readonly QueryParameter[];
  readonly body?: { readonly definition: string; readonly required: boolean; readonly types: readonly string[] };
  readonly result: string;
  readonly codes: readonly number[];
  readonly produces: readonly string[];
}

const codeWords: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Created', 202: 'Accepted', 401: 'Unauthorized' };

function queryParameter({ name, type, description }: QueryParameter, flavour: SchemaSet['flavour']): Json {
  const head = { name, in: 'query', description };
  return flavour === 'v2' ? { ...head, type, uniqueItems: true } : { ...head, schema: { type, uniqueItems: true } };
}

function pathParameter(name: string, flavour: SchemaSet['flavour']): Json {
  const head = { name, in: 'path', description: `${name} of the object`, required: true };
  return flavour === 'v2'
    ? { ...head, type: 'string', uniqueItems: true }
    : { ...head, schema: { type: 'string', uniqueItems: true } };
}

const schemaFor = (definition: string, set: SchemaSet): Json =>
  definition === '' ? { type: 'string' } : refTo(set, definition);

function operationJson(
  operation: Operation,
  kind: readonly [string, string, string],
  tag: string,
  set: SchemaSet,
): Json {
  const { flavour } = set;
  const parameters = [...operation.parameters, pretty].map((one) => queryParameter(one, flavour));
  const schema = () => schemaFor(operation.result, set);
  const responses: Json = {};
  for (const code of operation.codes) {
    responses[code] =
      flavour === 'v2'
        ? { description: codeWords[code], schema: schema() }
        : {
            description: codeWords[code],
            content: Object.fromEntries(operation.produces.map((type) => [type, { schema: schema() }])),
          };
  }
  responses[401] = { description: codeWords[401] };
  const { body } = operation;
  const content =
    body === undefined
      ? {}
      : flavour === 'v2'
        ? { consumes: body.types }
        : {
            requestBody: {
              content: Object.fromEntries(body.types.map((type) => [type, { schema: refTo(set, body.definition) }])),
              ...(body.required ? { required: true } : {}),
            },
          };
  if (flavour === 'v2' && body !== undefined) {
    parameters.unshift({
      name: 'body',
      in: 'body',
      ...(body.required ? { required: true } : {}),
      schema: refTo(set, body.definition),
    });
  }
  const [group, version, name] = kind;
  return {
    description: `${operation.action} ${name}`,
    ...content,
    ...(flavour === 'v2' ? { produces: operation.produces, schemes: ['https'] } : {}),
    operationId: operation.id,
    parameters,
    responses,
    tags: [tag],
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': { group, kind: name, version },
  };
}

const capitalized = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** `AppsV1Namespaced`: what stands between verb and kind in an operation's id. */
function idMiddle({ group, version, namespaced }: ServedKind): string {
  const name = group === '' ? 'core' : group.split('.')[0]!;
  return `${capitalized(name)}${capitalized(version)}${namespaced ? 'Namespaced' : ''}`;
}

function collectionOperations(kind: ServedKind): Operation[] {
  const middle = idMiddle(kind);
  const operations: Operation[] = [];
  const has = (verb: string) => kind.verbs.includes(verb);
  if (has('list')) {
    operations.push({
      verb: 'get',
      action: 'list',
      id: `list${middle}${kind.kind}`,
      parameters: listParameters,
      result: `${kind.definition}List`,
      codes: [200],
      produces: [...bodyTypes, ...watchTypes],
    });
  }
  if (has('create')) {
    operations.push({
      verb: 'post',
      action: 'post',
      id: `create${middle}${kind.kind}`,
      parameters: writeParameters,
      body: { definition: kind.definition, required: true, types: ['*/*'] },
      result: kind.definition,
      codes: [200, 201, 202],
      produces: bodyTypes,
    });
  }
  if (has('deletecollection')) {
    operations.push({
      verb: 'delete',
      action: 'deletecollection',
      id: `deleteCollection${middle}${kind.kind}`,
      parameters: [...listParameters.slice(1, 7), ...deleteParameters],
      body: { definition: deleteOptions, required: false, types: ['*/*'] },
      result: status,
      codes: [200],
      produces: bodyTypes,
    });
  }
  return operations;
}

/** Of an object, or of one of its subresources (`suffix` then says which). */
function itemOperations(kind: ServedKind, verbs: readonly string[], definition: string, suffix: string): Operation[] {
  const middle = idMiddle(kind);
  const id = (verb: string) => `${verb}${middle}${kind.kind}${suffix}`;
  const base = { result: definition, produces: bodyTypes };
  const operations: Operation[] = [];
  for (const verb of verbs) {
    if (verb === 'get') {
      operations.push({
        ...base,
        verb: 'get',
        action: 'get',
        id: id('read'),
        parameters: readParameters,
        codes: [200],
      });
    } else if (verb === 'update') {
      const body = { definition, required: true, types: ['*/*'] };
      operations.push({
        ...base,
        verb: 'put',
        action: 'put',
        id: id('replace'),
        parameters: writeParameters,
        body,
        codes: [200, 201],
      });
    } else if (verb === 'patch') {
      const body = { definition: patch, required: true, types: kind.isCustom === true ? customPatchTypes : patchTypes };
      operations.push({
        ...base,
        verb: 'patch',
        action: 'patch',
        id: id('patch'),
        parameters: patchParameters,
        body,
        codes: [200, 201],
      });
    } else if (verb === 'delete') {
      const body = { definition: deleteOptions, required: false, types: ['*/*'] };
      operations.push({
        ...base,
        verb: 'delete',
        action: 'delete',
        id: id('delete'),
        parameters: deleteParameters,
        body,
        result: status,
        codes: [200, 202],
      });
    } else if (verb === 'create' && suffix !== '') {
      const body = { definition, required: true, types: ['*/*'] };
      operations.push({
        ...base,
        verb: 'post',
        action: 'post',
        id: id('create'),
        parameters: writeParameters,
        body,
        codes: [200, 201, 202],
      });
    } else if (verb === 'connect') {
      for (const method of ['get', 'post']) {
        const connect = {
          verb: method,
          action: 'connect',
          id: id(`connect${capitalized(method)}`),
          parameters: connectParameters,
        };
        operations.push({ ...connect, result: '', codes: [200], produces: ['*/*'] });
      }
    }
  }
  return operations;
}

function pathItem(
  operations: readonly Operation[],
  kind: readonly [string, string, string],
  tag: string,
  names: readonly string[],
  set: SchemaSet,
): Json {
  const item: Json = {};
  for (const operation of operations) item[operation.verb] = operationJson(operation, kind, tag, set);
  if (names.length > 0) item['parameters'] = names.map((name) => pathParameter(name, set.flavour));
  return item;
}

/** Adds the paths of one resource and of its subresources to `paths`. */
export function addPaths(kind: ServedKind, set: SchemaSet, paths: Json): void {
  const root = `/${groupVersionPath(kind)}`;
  const own = [kind.group, kind.version, kind.kind] as const;
  const tag = `${kind.group === '' ? 'core' : kind.group.split('.')[0]}_${kind.version}`;
  const scope = kind.namespaced ? ['namespace'] : [];
  const collection = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.resource}` : `${root}/${kind.resource}`;
  const collectionPath = pathItem(collectionOperations(kind), own, tag, scope, set);
  if (Object.keys(collectionPath).some((verb) => verb !== 'parameters')) paths[collection] = collectionPath;
  if (kind.namespaced && kind.verbs.includes('list')) {
    const all = collectionOperations(kind).filter(({ action }) => action === 'list');
    const id = all[0]!.id.replace('Namespaced', '');
    paths[`${root}/${kind.resource}`] = pathItem([{ ...all[0]!, id: `${id}ForAllNamespaces` }], own, tag, [], set);
  }
  const item = itemOperations(kind, kind.verbs, kind.definition, '');
  if (item.length > 0) paths[`${collection}/{name}`] = pathItem(item, own, tag, ['name', ...scope], set);
  for (const [name, facts] of Object.entries(kind.sub ?? {})) {
    const definition =
      kind.sub !== undefined && name === 'status' ? kind.definition : (definitionOfKind(...facts.kind) ?? '');
    const isText = name === 'log';
    const operations = itemOperations(kind, facts.verbs, isText ? '' : definition, capitalized(name));
    paths[`${collection}/{name}/${name}`] = pathItem(operations, facts.kind, tag, ['name', ...scope], set);
  }
}
