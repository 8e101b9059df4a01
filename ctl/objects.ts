import type { KubernetesObject, ObjectList } from '../daemon/apimachinery/resource.ts';
import {
  type ControlClient,
  type GetRequest,
  GetRequest_Format,
  type GetResponse,
  type PatchRequest,
  type PatchResponse,
  type WatchResponse,
} from '../proto/generated/balsa/control/v1/control.ts';

/** What a command line names: `deployment/web` or `deployment web`, in a namespace (empty: default). */
export interface ObjectReference {
  readonly resource: string;
  readonly name: string;
  readonly namespace: string;
}

/** Throws an Error that says how to write it. */
export function parseReference(
  resource: string,
  name: string | undefined,
  namespace: string | undefined,
): ObjectReference {
  const [type = '', inSlashes] = resource.split('/');
  const found = name ?? inSlashes;
  if (type === '' || found === undefined || found === '' || (name !== undefined && inSlashes !== undefined))
    throw new Error(`${[resource, name].join(' ').trim()}: name one object, as in deployment/web`);
  return { resource: type, name: found, namespace: namespace ?? '' };
}

/** A request for everything of a resource; `change` narrows it down. */
const request = (change: Partial<GetRequest> & Pick<GetRequest, 'resource'>): GetRequest => ({
  namespace: '',
  allNamespaces: false,
  name: '',
  labelSelector: '',
  fieldSelector: '',
  format: GetRequest_Format.JSON,
  ...change,
});

export function get<T>(client: ControlClient, what: Partial<GetRequest> & Pick<GetRequest, 'resource'>): Promise<T> {
  return new Promise<GetResponse>((resolve, reject) =>
    client.get(request(what), (error, value) => (error === null ? resolve(value) : reject(error))),
  ).then(({ body }) => JSON.parse(body.toString('utf8')) as T);
}

export const list = async <T extends KubernetesObject>(
  client: ControlClient,
  what: Partial<GetRequest> & Pick<GetRequest, 'resource'>,
): Promise<readonly T[]> => (await get<ObjectList<T>>(client, what)).items;

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/** Changes, beginning with what is there; leaving the loop hangs up. */
export async function* watch<T>(
  client: ControlClient,
  what: Partial<GetRequest> & Pick<GetRequest, 'resource'>,
): AsyncIterable<WatchEvent<T>> {
  const call = client.watch(request(what));
  // Hanging up is an error of the call, which nobody waits for any more.
  call.on('error', () => {});
  try {
    for await (const { event } of call as unknown as AsyncIterable<WatchResponse>)
      yield JSON.parse(event.toString('utf8')) as WatchEvent<T>;
  } finally {
    call.cancel();
  }
}

export function patch(
  client: ControlClient,
  { resource, name, namespace }: ObjectReference,
  change: Pick<PatchRequest, 'type'> & { readonly patch: unknown; readonly subresource?: string },
): Promise<PatchResponse> {
  const whole: PatchRequest = {
    resource,
    name,
    namespace,
    subresource: change.subresource ?? '',
    type: change.type,
    patch: Buffer.from(JSON.stringify(change.patch)),
  };
  return new Promise((resolve, reject) =>
    client.patch(whole, (error, value) => (error === null ? resolve(value) : reject(error))),
  );
}
