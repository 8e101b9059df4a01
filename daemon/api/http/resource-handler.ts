import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Identity, PatchType } from '../../client/api-client.ts';
import { isCustomDefinition } from '../codec/custom-definitions.ts';
import { decodeBody } from '../codec/decode-body.ts';
import { resourceFacts } from '../codec/schema.ts';
import type { DeleteRequest } from '../registry/deletion.ts';
import type { ListPage } from '../registry/reads.ts';
import { selectionOf } from '../registry/selection.ts';
import type { StoredObject } from '../registry/stored-object.ts';
import type { WriteRequest } from '../registry/writes.ts';
import type { ResourceApi } from '../resource-api.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { badRequest, methodNotAllowed, noSuchResource, unsupportedMediaType } from '../status-errors.ts';
import { scaleKind } from '../subresources/scale.ts';
import { toTable } from '../table/table.ts';
import { maxBodyBytes, mediaTypeOf, parseJson, parseYaml, readObjectBody, readOptionalBody } from './body.ts';
import { formOf, type IncludeObject, listLength, listObject, listPieces, listTable, partialList } from './encode.ts';
import type { Exchange } from './exchange.ts';
import { negotiate, type Representation } from './negotiate.ts';
import { includeObjectParameter, integerParameter, writeParameters } from './options.ts';
import { isTrue, type RequestInfo, type ResourceRequest } from './request-info.ts';
import { acceptsGzip, commonHeaders, openBody, sendBytes, sendValue, wantsPretty } from './response.ts';
import { serveWatch } from './watch-response.ts';

/** Everything a handler knows of its request. */
export interface HandlerContext {
  readonly exchange: Exchange;
  readonly info: RequestInfo;
  readonly request: ResourceRequest;
  readonly identity: Identity;
  readonly warnings: string[];
}

const patchTypes: ReadonlyMap<string, PatchType> = new Map([
  ['application/json-patch+json', 'json'],
  ['application/merge-patch+json', 'merge'],
  ['application/strategic-merge-patch+json', 'strategic'],
  ['application/apply-patch+yaml', 'apply'],
]);

/** Resources that clients are told to leave, at every use of them. */
const deprecations: ReadonlyMap<string, string> = new Map([
  ['/v1/componentstatuses', 'v1 ComponentStatus is deprecated in v1.19+'],
  ['/v1/endpoints', 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
]);

/** Lists longer than this are written in pieces. */
const streamFrom = 128 * 1024;
const pieceBytes = 256 * 1024;
/** Of lists of up to so many objects the length is told beforehand. */
const wholeUpTo = 5000;

/** Serves the requests of resources: the REST verbs onto the registry. */
export class ResourceHandler {
  readonly #api: ResourceApi;

  constructor(api: ResourceApi) {
    this.#api = api;
  }

  async handle(context: HandlerContext): Promise<void> {
    const { request, info } = context;
    const { group, version, resource, subresource } = request;
    const deprecated = deprecations.get(`${group}/${version}/${resource}`);
    if (deprecated !== undefined) context.warnings.push(deprecated);
    const row = this.#api.registry.row(group, version, resource);
    if (row === undefined) return this.#virtual(context);
    if (request.namespace !== '' && !row.handle.namespaced && resource !== 'namespaces') throw noSuchResource();
    const facts = resourceFacts(group, version, resource);
    if (subresource !== '') {
      const known = facts?.sub?.[subresource];
      if (known === undefined && !row.handle.subresources.includes(subresource)) throw noSuchResource();
      if (request.name === '') throw noSuchResource();
      return this.#subresource(context, row, known?.verbs ?? ['get', 'patch', 'update']);
    }
    switch (info.verb) {
      case 'get':
        return this.#get(context, row);
      case 'list':
        return this.#list(context, row);
      case 'watch':
        return serveWatch(this.#api, context, row);
      case 'create':
        if (request.name !== '') throw methodNotAllowed();
        return this.#create(context, row);
      case 'update':
        if (request.name === '') throw methodNotAllowed();
        return this.#update(context, row, '');
      case 'patch':
        if (request.name === '') throw methodNotAllowed();
        return this.#patch(context, row, '');
      case 'delete':
        return this.#delete(context, row);
      case 'deletecollection':
        if (!row.handle.verbs.includes('deletecollection')) throw methodNotAllowed();
        return this.#deleteCollection(context, row);
      default:
        throw methodNotAllowed();
    }
  }

  async #get(context: HandlerContext, row: ResourceRow): Promise<void> {
    const { exchange, info, request } = context;
    const representation = negotiate(exchange.headers.accept, hasProtobuf(row));
    const version = info.query.get('resourceVersion') ?? undefined;
    const stored = await this.#api.registry.reads.get(row, namespaceOf(row, request), request.name, version);
    this.#sendObject(context, 200, stored, representation);
  }

  async #list(context: HandlerContext, row: ResourceRow): Promise<void> {
    const { exchange, info, request } = context;
    const { query } = info;
    const representation = negotiate(exchange.headers.accept, hasProtobuf(row));
    const page = await this.#api.registry.reads.list({
      ...listParameters(query),
      selection: selectionFrom(row, request, query),
    });
    const headers = commonHeaders(exchange, context.warnings);
    const pretty = wantsPretty(exchange, query);
    if (representation.as === 'Table') {
      sendValue(exchange, 200, headers, listTable(page, includeObjectParameter(query)), { ...representation, pretty });
      return;
    }
    if (representation.as !== '') {
      sendValue(exchange, 200, headers, partialList(page), { ...representation, pretty });
      return;
    }
    if (representation.format !== 'json' || pretty) {
      sendValue(exchange, 200, headers, listObject(page), { ...representation, pretty });
      return;
    }
    await this.#sendList(context, page, representation.contentType);
  }

  /** A long list is made while it is sent: a client that reads slowly, or leaves, costs no more than it takes. */
  async #sendList({ exchange, warnings }: HandlerContext, page: ListPage, contentType: string): Promise<void> {
    const headers = commonHeaders(exchange, warnings);
    const compress = acceptsGzip(exchange);
    if (page.items.length <= wholeUpTo || exchange.method === 'HEAD') {
      const length = listLength(page);
      if (length <= streamFrom || exchange.method === 'HEAD') {
        sendBytes(exchange, 200, headers, contentType, Buffer.concat([...listPieces(page, pieceBytes)], length));
        return;
      }
      if (!compress) headers['Content-Length'] = length;
    }
    headers['Content-Type'] = contentType;
    const body = openBody(exchange, 200, headers, compress);
    let closed = false;
    exchange.onClose(() => {
      closed = true;
    });
    for (const piece of listPieces(page, pieceBytes)) {
      if (closed) return;
      await body.write(piece);
    }
    body.end();
  }

  async #create(context: HandlerContext, row: ResourceRow): Promise<void> {
    const { exchange, info, request } = context;
    const representation = negotiate(exchange.headers.accept, hasProtobuf(row));
    const write = this.#write(context, 'CreateOptions');
    const namespace = this.#requireNamespace(row, request);
    const body = await readObjectBody(exchange, row.handle);
    const handler = this.#api.creators.get(`${request.group}/${request.resource}`);
    const stored =
      handler === undefined
        ? await this.#api.registry.writes.create(row, namespace, body, write)
        : await handler({ api: this.#api, row, namespace, body, write });
    void info;
    this.#sendObject(context, 201, stored, representation);
  }

  async #update(context: HandlerContext, row: ResourceRow, subresource: string): Promise<void> {
    const { exchange, request } = context;
    const representation = negotiate(exchange.headers.accept, hasProtobuf(row));
    const write = this.#write(context, 'UpdateOptions');
    const body = await readObjectBody(exchange, row.handle);
    const target = { row, namespace: namespaceOf(row, request), name: request.name, subresource };
    const { object, created } = await this.#api.put(target, body, write);
    this.#sendObject(context, created ? 201 : 200, object, representation);
  }

  async #patch(context: HandlerContext, row: ResourceRow, subresource: string): Promise<void> {
    const { exchange, info, request } = context;
    const representation = negotiate(exchange.headers.accept, hasProtobuf(row));
    const { type, value } = await this.#patchBody(exchange, row);
    if (type === 'apply' && (info.query.get('fieldManager') ?? '') === '') {
      throw badRequest(
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      );
    }
    if (type !== 'apply' && info.query.has('force')) {
      throw badRequest(
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      );
    }
    const parameters = writeParameters(exchange, info.query, 'PatchOptions');
    const write = this.#writeOf(context, parameters);
    const target = { row, namespace: namespaceOf(row, request), name: request.name, subresource };
    const { object, created } = await this.#api.patch(target, type, value, write, parameters.force);
    this.#sendObject(context, created ? 201 : 200, object, representation);
  }

  /** Strategic merge needs Go types: objects of a custom resource (`row`) cannot be patched by it. */
  async #patchBody(exchange: Exchange, row: ResourceRow | undefined): Promise<{ type: PatchType; value: unknown }> {
    const mediaType = mediaTypeOf(exchange);
    const type = patchTypes.get(mediaType);
    const isCustom = row !== undefined && isCustomDefinition(row.handle.definition);
    if (type === undefined || (type === 'strategic' && isCustom)) {
      const accepted = [...patchTypes].filter(([, one]) => !isCustom || one !== 'strategic');
      throw unsupportedMediaType(accepted.map(([name]) => name));
    }
    const text = (await exchange.readBody(maxBodyBytes)).toString();
    if (type === 'apply') return { type, value: parseYaml(text, 'patch').value };
    return { type, value: parseJson(text, (why) => badRequest(`error decoding patch: ${why}`)) };
  }

  async #delete(context: HandlerContext, row: ResourceRow): Promise<void> {
    const { exchange, info, request } = context;
    const representation = negotiate(exchange.headers.accept, hasProtobuf(row));
    const { options, dryRun } = await deleteOptions(exchange, info.query);
    const write = { ...this.#write(context, 'DeleteOptions') };
    const result = await this.#api.registry.deletion.delete(row, namespaceOf(row, request), request.name, options, {
      ...write,
      dryRun: write.dryRun || dryRun,
    });
    if ('object' in result) {
      this.#sendObject(context, 200, result.object, representation);
      return;
    }
    const headers = commonHeaders(exchange, context.warnings);
    sendValue(exchange, 200, headers, result.status, {
      format: representation.format,
      pretty: wantsPretty(exchange, info.query),
    });
  }

  async #deleteCollection(context: HandlerContext, row: ResourceRow): Promise<void> {
    const { exchange, info, request } = context;
    const { options, dryRun } = await deleteOptions(exchange, info.query);
    const write = this.#write(context, 'DeleteOptions');
    const items = await this.#api.registry.deleteCollection(
      { ...listParameters(info.query), selection: selectionFrom(row, request, info.query) },
      options,
      { ...write, dryRun: write.dryRun || dryRun },
    );
    const page = { row, items, revision: this.#api.registry.hub.revision };
    const headers = commonHeaders(exchange, context.warnings);
    sendValue(exchange, 200, headers, listObject(page), { format: 'json', pretty: wantsPretty(exchange, info.query) });
  }

  async #subresource(context: HandlerContext, row: ResourceRow, verbs: readonly string[]): Promise<void> {
    const { request, info, exchange } = context;
    const { subresource } = request;
    if (verbs.includes('connect')) return this.#api.connect(context, row);
    if (subresource === 'log' && info.verb === 'get') return this.#api.connect(context, row);
    if (!verbs.includes(info.verb)) throw methodNotAllowed();
    const handler = this.#api.subresources.get(`${row.handle.resource}/${subresource}`);
    if (handler !== undefined && info.verb === 'create') {
      const write = this.#write(context, 'CreateOptions');
      const body = await readObjectBody(exchange, handler.kind);
      const value = decodeBody<KubernetesObject>(handler.kind, body, write.fieldValidation, write.warn);
      const namespace = namespaceOf(row, request);
      const result = await handler.create({ api: this.#api, row, namespace, name: request.name, body: value, write });
      this.#sendPlain(context, 201, result);
      return;
    }
    if (subresource === 'scale') return this.#scale(context, row);
    if (info.verb === 'get') return this.#get(context, row);
    if (info.verb === 'update') return this.#update(context, row, subresource);
    if (info.verb === 'patch') return this.#patch(context, row, subresource);
    throw methodNotAllowed();
  }

  async #scale(context: HandlerContext, row: ResourceRow): Promise<void> {
    const { exchange, info, request } = context;
    const namespace = namespaceOf(row, request);
    const { scale } = this.#api;
    if (info.verb === 'get') {
      this.#sendPlain(context, 200, await scale.get(row, namespace, request.name));
      return;
    }
    if (info.verb === 'update') {
      const write = this.#write(context, 'UpdateOptions');
      const body = await readObjectBody(exchange, scaleKind);
      this.#sendPlain(context, 200, await scale.update(row, namespace, request.name, body, write));
      return;
    }
    const write = this.#write(context, 'PatchOptions');
    const { type, value } = await this.#patchBody(exchange, undefined);
    this.#sendPlain(context, 200, await scale.patch(row, namespace, request.name, type, value, write));
  }

  /** Resources that are answered and never stored: the reviews, `bindings`, `componentstatuses`. */
  async #virtual(context: HandlerContext): Promise<void> {
    const { request, info, exchange } = context;
    const handler = this.#api.virtual.get(`${request.group}/${request.version}/${request.resource}`);
    if (handler === undefined || request.subresource !== '') throw noSuchResource();
    if (handler.read !== undefined && (info.verb === 'get' || info.verb === 'list')) {
      const found = await handler.read(request.name);
      const asTable = negotiate(exchange.headers.accept).as === 'Table' && handler.columns !== undefined;
      const items = (found as { items?: KubernetesObject[] }).items ?? [found as KubernetesObject];
      this.#sendPlain(
        context,
        200,
        asTable ? toTable({ columns: handler.columns }, items, { now: new Date() }) : found,
      );
      return;
    }
    if (handler.create === undefined || info.verb !== 'create') throw methodNotAllowed();
    const write = this.#write(context, 'CreateOptions');
    const body = await readObjectBody(exchange, handler.kind);
    const value = decodeBody<KubernetesObject>(handler.kind, body, write.fieldValidation, write.warn);
    const result = await handler.create({
      api: this.#api,
      namespace: request.namespace,
      body: value,
      write,
    });
    this.#sendPlain(context, 201, result);
  }

  #requireNamespace(row: ResourceRow, request: ResourceRequest): string {
    if (!row.handle.namespaced) return '';
    if (request.namespace === '') throw methodNotAllowed();
    return request.namespace;
  }

  #write(context: HandlerContext, kind: string): WriteRequest {
    return this.#writeOf(context, writeParameters(context.exchange, context.info.query, kind));
  }

  #writeOf(context: HandlerContext, parameters: Omit<WriteRequest, 'identity' | 'warn'>): WriteRequest {
    const { dryRun, fieldManager, fieldValidation } = parameters;
    return {
      identity: context.identity,
      dryRun,
      fieldManager,
      fieldValidation,
      warn: (text) => context.warnings.push(text),
    };
  }

  #sendObject(context: HandlerContext, status: number, stored: StoredObject, representation: Representation): void {
    const { exchange, info } = context;
    const headers = commonHeaders(exchange, context.warnings);
    const pretty = wantsPretty(exchange, info.query);
    if (representation.as === '' && representation.format === 'json' && !pretty) {
      sendBytes(exchange, status, headers, representation.contentType, stored.json);
      return;
    }
    const include: IncludeObject = includeObjectParameter(info.query);
    sendValue(exchange, status, headers, formOf(stored, representation.as, include), { ...representation, pretty });
  }

  #sendPlain(context: HandlerContext, status: number, value: object): void {
    const { exchange, info } = context;
    const representation = negotiate(exchange.headers.accept, true);
    const headers = commonHeaders(exchange, context.warnings);
    sendValue(exchange, status, headers, value, {
      format: representation.format,
      pretty: wantsPretty(exchange, info.query),
    });
  }
}

/** Custom resources have no protobuf form. */
function hasProtobuf(row: ResourceRow): boolean {
  return !isCustomDefinition(row.handle.definition);
}

/** The namespace part of the object's key. */
function namespaceOf(row: ResourceRow, request: ResourceRequest): string {
  if (!row.handle.namespaced) return '';
  if (request.namespace === '' && request.name !== '') throw noSuchResource();
  return request.namespace;
}

export function selectionFrom(row: ResourceRow, request: ResourceRequest, query: URLSearchParams) {
  const fieldSelector = query.get('fieldSelector') ?? '';
  return selectionOf(row, {
    namespace: row.handle.namespaced ? request.namespace : '',
    labelSelector: query.get('labelSelector') ?? '',
    // A watch of one object by its path is a watch of that name.
    fieldSelector: request.name === '' ? fieldSelector : `metadata.name=${request.name}`,
  });
}

function listParameters(query: URLSearchParams) {
  return {
    resourceVersion: query.get('resourceVersion') ?? undefined,
    resourceVersionMatch: query.get('resourceVersionMatch') ?? undefined,
    limit: integerParameter(query, 'limit'),
    continue: query.get('continue') ?? undefined,
  };
}

const deleteOptionsKind = {
  group: '',
  version: 'v1',
  kind: 'DeleteOptions',
  definition: 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
};

/** Options of a deletion: from the body when there is one, else from the query. */
async function deleteOptions(
  exchange: Exchange,
  query: URLSearchParams,
): Promise<{ options: DeleteRequest; dryRun: boolean }> {
  const body = await readOptionalBody(exchange, deleteOptionsKind);
  if (body !== undefined) {
    const { value } = body;
    if (typeof value !== 'object' || value === null) throw badRequest('the object provided is no DeleteOptions');
    // Its apiVersion is v1, meta.k8s.io/v1 or that of any group.
    const { apiVersion: _apiVersion, ...rest } = value as { apiVersion?: unknown };
    const options = decodeBody<DeleteRequest & { dryRun?: string[] }>(
      deleteOptionsKind,
      { value: rest },
      'Ignore',
      () => undefined,
    );
    return { options, dryRun: (options.dryRun ?? []).includes('All') };
  }
  const grace = integerParameter(query, 'gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  return {
    options: {
      ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
      ...(policy === null ? {} : { propagationPolicy: policy }),
      ...(orphan === null ? {} : { orphanDependents: isTrue(orphan) }),
    },
    dryRun: false,
  };
}
