import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { TokenReview } from '../../apimachinery/types/authentication-v1.ts';
import type { SubjectAccessReview } from '../../apimachinery/types/authorization-v1.ts';
import { subjectaccessreviews, tokenreviews } from '../../apimachinery/types/resources.ts';
import type { ApiClient, Identity } from '../../client/api-client.ts';
import { HttpError } from './http-error.ts';

const REMEMBER_MS = { yes: 300_000, no: 30_000 };
const MAX_REMEMBERED = 1000;
const SUPERUSERS = 'system:masters';

const verbs: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** The subresource of `nodes` that guards a path. */
export function subresourceOf(path: string): string {
  const first = path.split('/')[1] ?? '';
  const own: Readonly<Record<string, string>> = {
    stats: 'stats',
    metrics: 'metrics',
    logs: 'log',
    checkpoint: 'checkpoint',
  };
  return own[first] ?? 'proxy';
}

const asList = (value: string | string[] | undefined): string[] => (value === undefined ? [] : [value].flat());

/** Who may use the kubelet's API: a client certificate or token says who asks, and the API server says what they may. */
export class AccessControl {
  readonly #client: ApiClient;
  readonly #nodeName: string;
  readonly #remembered = new Map<string, { until: number; value: unknown }>();

  constructor(client: ApiClient, nodeName: string) {
    this.#client = client;
    this.#nodeName = nodeName;
  }

  /** Rejects with an HttpError: 401 for an unknown client, 403 for one that may not. */
  async check(request: IncomingMessage): Promise<Identity> {
    const identity = await this.#authenticate(request);
    if (identity === undefined) throw new HttpError(401, 'Unauthorized');
    if (identity.groups.includes(SUPERUSERS)) return identity;
    const verb = verbs[request.method ?? 'GET'] ?? 'get';
    const subresource = subresourceOf(request.url ?? '/');
    const allowed = await this.#remember(
      JSON.stringify([identity.name, identity.groups, verb, subresource]),
      () => this.#authorize(identity, verb, subresource),
      (answer) => answer,
    );
    if (allowed) return identity;
    throw new HttpError(
      403,
      `Forbidden (user=${identity.name}, verb=${verb}, resource=nodes, subresource=${subresource})`,
    );
  }

  async #authenticate(request: IncomingMessage): Promise<Identity | undefined> {
    const socket = request.socket as TLSSocket;
    if (socket.authorized) {
      const { subject } = socket.getPeerCertificate();
      const [name] = asList(subject.CN);
      if (name !== undefined) return { name, groups: [...asList(subject.O), 'system:authenticated'] };
    }
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    return this.#remember(
      `token ${token}`,
      () => this.#review(token),
      (identity) => identity !== undefined,
    );
  }

  async #review(token: string): Promise<Identity | undefined> {
    const review: TokenReview = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec: { token },
    };
    const { status } = await this.#client.review(tokenreviews, review);
    if (status?.authenticated !== true) return undefined;
    return { name: status.user?.username ?? '', groups: status.user?.groups ?? [] };
  }

  async #authorize(identity: Identity, verb: string, subresource: string): Promise<boolean> {
    const review: SubjectAccessReview = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        user: identity.name,
        groups: [...identity.groups],
        resourceAttributes: { verb, group: '', version: 'v1', resource: 'nodes', subresource, name: this.#nodeName },
      },
    };
    return (await this.#client.review(subjectaccessreviews, review)).status?.allowed === true;
  }

  async #remember<T>(key: string, ask: () => Promise<T>, isYes: (value: T) => boolean): Promise<T> {
    const known = this.#remembered.get(key);
    if (known !== undefined && Date.now() < known.until) return known.value as T;
    const value = await ask();
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, { until: Date.now() + REMEMBER_MS[isYes(value) ? 'yes' : 'no'], value });
    return value;
  }
}
