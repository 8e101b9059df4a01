import { parseAllDocuments } from 'yaml';
import {
  type ApplyRequest,
  type ApplyResponse,
  ApplyResponse_Outcome,
  type DeleteRequest,
  type GetRequest,
  GetRequest_Format,
  type GetResponse,
  type PatchRequest,
  PatchRequest_Type,
  type PatchResponse,
} from '../../../proto/generated/balsa/control/v1/control.ts';
import { ApiError, apiError } from '../../apimachinery/api-error.ts';
import type { KubernetesObject, ObjectList } from '../../apimachinery/resource.ts';
import { collectionPath, lookupKind, lookupResource, type ServedResource } from './resource-lookup.ts';
import type { RestCaller, RestRequest } from './rest-caller.ts';

const tableType = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

const emptyToUndefined = (text: string): string | undefined => (text === '' ? undefined : text);

async function listRequest(
  caller: RestCaller,
  request: GetRequest,
): Promise<{ rest: RestRequest; resource: ServedResource }> {
  const resource = await lookupResource(caller, request.resource);
  const collection = collectionPath(resource, request.allNamespaces ? undefined : request.namespace || 'default');
  const rest: RestRequest = {
    method: 'GET',
    path: request.name === '' ? collection : `${collection}/${encodeURIComponent(request.name)}`,
    query: {
      labelSelector: emptyToUndefined(request.labelSelector),
      fieldSelector: emptyToUndefined(request.fieldSelector),
    },
    accept: request.format === GetRequest_Format.TABLE ? tableType : 'application/json',
  };
  return { rest, resource };
}

export async function getObjects(caller: RestCaller, request: GetRequest): Promise<GetResponse> {
  const { rest, resource } = await listRequest(caller, request);
  const { body } = await caller.stream(rest);
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return { body: Buffer.concat(chunks), namespaced: resource.namespaced };
}

/** Yields each watch event's JSON line, from the present on. */
export async function* watchObjects(
  caller: RestCaller,
  request: GetRequest,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  const { rest } = await listRequest(caller, { ...request, name: '' });
  const fieldSelector = request.name === '' ? rest.query?.['fieldSelector'] : `metadata.name=${request.name}`;
  const { body } = await caller.stream({ ...rest, query: { ...rest.query, fieldSelector, watch: 'true' }, signal });
  let rest_: Buffer = Buffer.alloc(0);
  for await (const chunk of body) {
    let data: Buffer = Buffer.concat([rest_, chunk as Buffer]);
    for (let end = data.indexOf(10); end !== -1; end = data.indexOf(10)) {
      yield data.subarray(0, end);
      data = data.subarray(end + 1);
    }
    rest_ = data;
  }
}

function parseDocuments(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document, index) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw apiError('BadRequest', `document ${index + 1}: ${problem.message}`);
    const object = document.toJS() as (KubernetesObject & { items?: KubernetesObject[] }) | null;
    if (object === null) return [];
    if (typeof object !== 'object' || typeof object.apiVersion !== 'string' || typeof object.kind !== 'string')
      throw apiError('BadRequest', `document ${index + 1}: apiVersion and kind must be set`);
    return object.kind === 'List' ? (object.items ?? []) : [object];
  });
}

const objectName = (resource: ServedResource, name: string): string =>
  `${resource.kind.toLowerCase()}${resource.group === '' ? '' : `.${resource.group}`}/${name}`;

async function applyOne(caller: RestCaller, object: KubernetesObject, request: ApplyRequest): Promise<ApplyResponse> {
  const name = object.metadata?.name;
  if (name === undefined) throw apiError('BadRequest', `${object.kind}: metadata.name must be set`);
  const resource = await lookupKind(caller, object.apiVersion ?? '', object.kind ?? '');
  const path = `${collectionPath(resource, object.metadata?.namespace ?? (request.namespace || 'default'))}/${encodeURIComponent(name)}`;
  const before = await caller.json<KubernetesObject>({ method: 'GET', path }).catch((error: unknown) => {
    if (error instanceof ApiError && error.code === 404) return undefined;
    throw error;
  });
  const { value: after } = await caller.json<KubernetesObject>({
    method: 'PATCH',
    path,
    query: { fieldManager: 'balsactl', force: String(request.force), dryRun: request.dryRun ? 'All' : undefined },
    contentType: 'application/apply-patch+yaml',
    body: JSON.stringify(object),
  });
  const outcome =
    before === undefined
      ? ApplyResponse_Outcome.CREATED
      : before.value.metadata?.resourceVersion === after.metadata?.resourceVersion
        ? ApplyResponse_Outcome.UNCHANGED
        : ApplyResponse_Outcome.CONFIGURED;
  return { object: objectName(resource, name), outcome, error: '' };
}

/** Applies each document in order; one that is refused does not stop the rest. */
export async function* applyObjects(caller: RestCaller, request: ApplyRequest): AsyncIterable<ApplyResponse> {
  for (const object of parseDocuments(request.documents)) {
    try {
      yield await applyOne(caller, object, request);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const shown = `${object.kind?.toLowerCase()}/${object.metadata?.name ?? ''}`;
      yield { object: shown, outcome: ApplyResponse_Outcome.REFUSED, error: error.message };
    }
  }
}

const patchTypes: Partial<Record<PatchRequest_Type, string>> = {
  [PatchRequest_Type.MERGE]: 'application/merge-patch+json',
  [PatchRequest_Type.JSON]: 'application/json-patch+json',
};

export async function patchObject(caller: RestCaller, request: PatchRequest): Promise<PatchResponse> {
  const contentType = patchTypes[request.type];
  if (contentType === undefined) throw apiError('BadRequest', 'type: a merge patch or a JSON patch');
  const resource = await lookupResource(caller, request.resource);
  const object = `${collectionPath(resource, request.namespace || 'default')}/${encodeURIComponent(request.name)}`;
  const { value } = await caller.json<KubernetesObject>({
    method: 'PATCH',
    path: request.subresource === '' ? object : `${object}/${encodeURIComponent(request.subresource)}`,
    query: { fieldManager: 'balsactl' },
    contentType,
    body: Buffer.from(request.patch).toString('utf8'),
  });
  return { object: objectName(resource, request.name), body: Buffer.from(JSON.stringify(value)) };
}

export async function deleteObjects(caller: RestCaller, request: DeleteRequest): Promise<string[]> {
  const resource = await lookupResource(caller, request.resource);
  const collection = collectionPath(resource, request.namespace || 'default');
  let names = [request.name];
  if (request.name === '') {
    if (request.labelSelector === '') throw apiError('BadRequest', 'name an object, or select with a label selector');
    const { value } = await caller.json<ObjectList<KubernetesObject>>({
      method: 'GET',
      path: collection,
      query: { labelSelector: request.labelSelector },
    });
    names = value.items.map((object) => object.metadata?.name ?? '');
  }
  const grace =
    request.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: Number(request.gracePeriodSeconds) };
  const body = JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background', ...grace });
  for (const name of names)
    await caller.json({ method: 'DELETE', path: `${collection}/${encodeURIComponent(name)}`, body });
  return names.map((name) => objectName(resource, name));
}
