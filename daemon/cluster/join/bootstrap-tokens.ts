import { timingSafeEqual } from 'node:crypto';
import { apiError, isApiError } from '../../apimachinery/api-error.ts';
import type { ObjectList } from '../../apimachinery/resource.ts';
import type { Secret } from '../../apimachinery/types/core-v1.ts';
import { secrets } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { RestCaller } from '../control/rest-caller.ts';
import { randomPart, type TokenRole, tokenRoles } from './token.ts';

/** Kubernetes' own form: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ */
const secretType = 'bootstrap.kubernetes.io/token';
const namePrefix = 'bootstrap-token-';
const collection = '/api/v1/namespaces/kube-system/secrets';

/** The group that says what a token is for; such groups have to begin with `system:bootstrappers:`. */
const groupOf = (role: TokenRole): string => `system:bootstrappers:balsa:${role}`;

export interface TokenSummary {
  readonly id: string;
  readonly role: TokenRole | '';
  readonly expires: Date | undefined;
  readonly description: string;
}

function field(secret: Secret, name: string): string {
  return Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
}

function summary(secret: Secret): TokenSummary {
  const groups = field(secret, 'auth-extra-groups').split(',');
  const expiration = field(secret, 'expiration');
  return {
    id: field(secret, 'token-id'),
    // A server's token does for an agent too: the greater right is the one to show.
    role: [...tokenRoles].reverse().find((role) => groups.includes(groupOf(role))) ?? '',
    expires: expiration === '' ? undefined : new Date(expiration),
    description: field(secret, 'description'),
  };
}

/** Makes a token, as the caller: who may not create Secrets in kube-system gets the API's refusal. */
export async function createToken(
  caller: RestCaller,
  options: { readonly role: string; readonly ttlSeconds: number; readonly description: string },
): Promise<{ id: string; secret: string }> {
  const role = tokenRoles.find((known) => known === options.role);
  if (role === undefined)
    throw apiError('BadRequest', `role ${JSON.stringify(options.role)}: one of ${tokenRoles.join(', ')}`);
  if (options.ttlSeconds < 1 || options.ttlSeconds > 10 * 365 * 86_400)
    throw apiError('BadRequest', 'the time a token lasts must lie between one second and ten years');
  const id = randomPart(6);
  const secret = randomPart(16);
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${namePrefix}${id}`, namespace: 'kube-system' },
    type: secretType,
    stringData: {
      'token-id': id,
      'token-secret': secret,
      expiration: new Date(Date.now() + options.ttlSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': groupOf(role),
      ...(options.description === '' ? {} : { description: options.description }),
    },
  });
  await caller.json({ method: 'POST', path: collection, body });
  return { id, secret };
}

export async function listTokens(caller: RestCaller): Promise<readonly TokenSummary[]> {
  const { value } = await caller.json<ObjectList<Secret>>({
    method: 'GET',
    path: collection,
    query: { fieldSelector: `type=${secretType}` },
  });
  return value.items.map(summary);
}

/** `id`: the part of the token before the dot. */
export async function deleteToken(caller: RestCaller, id: string): Promise<void> {
  if (!/^[a-z0-9]{6}$/.test(id)) throw apiError('BadRequest', `token id ${JSON.stringify(id)}: six letters or digits`);
  await caller.json({ method: 'DELETE', path: `${collection}/${namePrefix}${id}`, body: '{}' });
}

/** What `<id>.<secret>` admits to now: undefined when it is unknown, wrong, expired or for something else. */
export async function admittedRole(client: ApiClient, token: string): Promise<TokenSummary | undefined> {
  const [, id, given] = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(token) ?? [];
  if (id === undefined || given === undefined) return undefined;
  let secret: Secret;
  try {
    secret = await client.get(secrets, { namespace: 'kube-system', name: `${namePrefix}${id}` });
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined;
    throw error;
  }
  const expected = Buffer.from(field(secret, 'token-secret'));
  const actual = Buffer.from(given);
  if (secret.type !== secretType || field(secret, 'token-id') !== id) return undefined;
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) return undefined;
  if (field(secret, 'usage-bootstrap-authentication') !== 'true') return undefined;
  const found = summary(secret);
  if (found.expires !== undefined && !(found.expires.getTime() > Date.now())) return undefined;
  return found;
}
