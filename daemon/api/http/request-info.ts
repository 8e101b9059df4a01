/** What a request is about, read from its method, path and query (`request.RequestInfo`). */
export interface RequestInfo {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly verb: string;
  /** Set when the path names a resource. */
  readonly resource?: ResourceRequest;
}

export interface ResourceRequest {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** What follows a proxy subresource, with its leading slash; empty when nothing does. */
  readonly rest: string;
  /** Deprecated `/watch/` paths. */
  readonly legacyWatch: boolean;
}

const emptyQuery = new URLSearchParams();

const verbs: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Subresources of namespaces that are not resources in one. */
const namespaceSubresources = new Set(['status', 'finalize']);

/** Fails (undefined) when the path holds a malformed escape. */
export function parseRequest(method: string, url: string): RequestInfo | undefined {
  const question = url.indexOf('?');
  const path = question === -1 ? url : url.slice(0, question);
  const query = question === -1 ? emptyQuery : new URLSearchParams(url.slice(question + 1));
  const resource = parseResource(path);
  if (resource === null) return undefined;
  if (resource === undefined) return { path, query, verb: method.toLowerCase() };
  let verb = verbs[method] ?? '';
  if (resource.legacyWatch) verb = 'watch';
  else if (resource.name === '' && verb === 'get') verb = isTrue(query.get('watch')) ? 'watch' : 'list';
  else if (resource.name === '' && verb === 'delete') verb = 'deletecollection';
  return { path, query, verb, resource };
}

/** Go's reading of a boolean query parameter: present without a value counts as true. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function parseResource(path: string): ResourceRequest | undefined | null {
  const core = path.startsWith('/api/');
  if (!core && !path.startsWith('/apis/')) return undefined;
  const raw = path.split('/');
  if (raw[raw.length - 1] === '') raw.pop();
  const parts: string[] = [];
  for (const part of raw) {
    if (!part.includes('%')) {
      parts.push(part);
      continue;
    }
    try {
      parts.push(decodeURIComponent(part));
    } catch {
      return null; // a malformed escape: the caller answers 400
    }
  }
  const group = core ? '' : (parts[2] ?? '');
  const version = (core ? parts[2] : parts[3]) ?? '';
  let at = core ? 3 : 4;
  if (parts.length <= at) return undefined;
  const legacyWatch = parts[at] === 'watch' && parts.length > at + 1;
  if (legacyWatch) at++;
  let namespace = '';
  let resource = parts[at]!;
  let name = parts[at + 1] ?? '';
  let subresource = parts[at + 2] ?? '';
  let restAt = at + 3;
  if (resource === 'namespaces' && parts.length > at + 2 && !namespaceSubresources.has(parts[at + 2]!)) {
    namespace = name;
    resource = parts[at + 2]!;
    name = parts[at + 3] ?? '';
    subresource = parts[at + 4] ?? '';
    restAt = at + 5;
  } else if (resource === 'namespaces') {
    namespace = name;
  }
  let rest = '';
  if (subresource === 'proxy') {
    const trailing = path.endsWith('/') ? '/' : '';
    rest = raw.length > restAt ? `/${raw.slice(restAt).join('/')}${trailing}` : trailing;
  } else if (raw.length > restAt) {
    subresource = parts.slice(restAt - 1).join('/');
  }
  return { group, version, resource, subresource, namespace, name, rest, legacyWatch };
}
