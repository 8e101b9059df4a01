import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  exportJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { Identity } from '../../client/api-client.ts';
import { type Authenticated, type Authenticator, authenticated, type Credentials } from './authenticator.ts';

/** The object that a token lives and dies with. */
export interface BoundObject {
  readonly kind: 'Pod' | 'Secret' | 'Node';
  readonly name: string;
  readonly uid: string;
}

interface KubernetesClaims {
  readonly namespace?: string;
  readonly serviceaccount?: { readonly name?: string; readonly uid?: string };
  readonly pod?: { readonly name?: string; readonly uid?: string };
  readonly secret?: { readonly name?: string; readonly uid?: string };
  readonly node?: { readonly name?: string; readonly uid?: string };
  readonly warnafter?: number;
}

/** Looks up the uid of an object that a token refers to; undefined: it is gone (or being deleted too long). */
export type LiveUid = (
  kind: 'serviceaccounts' | 'pods' | 'secrets' | 'nodes',
  namespace: string,
  name: string,
) => string | undefined;

export interface VerifiedToken {
  readonly identity: Identity;
  readonly audiences: readonly string[];
  readonly expiresAt: number;
  /** Whether what it is bound to still exists is asked each time. */
  readonly alive: () => boolean;
}

const userPrefix = 'system:serviceaccount:';
const groupAll = 'system:serviceaccounts';
const maxCached = 4096;

/** Identity of a service account. */
export function serviceAccountIdentity(namespace: string, name: string, uid?: string): Identity {
  return authenticated({
    name: `${userPrefix}${namespace}:${name}`,
    ...(uid === undefined ? {} : { uid }),
    groups: [groupAll, `${groupAll}:${namespace}`],
  });
}

/** Signs and verifies service-account tokens (`kubernetes.io` claims, bound to objects). */
export class ServiceAccountTokens {
  readonly issuer: string;
  readonly #signingKey: KeyObject;
  readonly #verificationKeys: readonly KeyObject[];
  readonly #liveUid: LiveUid;
  #keys: Promise<ReadonlyMap<string, { key: KeyObject; jwk: JWK }>> | undefined;
  readonly #verified = new Map<string, VerifiedToken>();

  /** Keys in PEM; the signing key's public half is always among those that verify. */
  constructor(options: {
    readonly signingKey: string;
    readonly verificationKeys: readonly string[];
    readonly issuer: string;
    readonly liveUid: LiveUid;
  }) {
    this.issuer = options.issuer;
    this.#signingKey = createPrivateKey(options.signingKey);
    this.#verificationKeys = [
      createPublicKey(this.#signingKey),
      ...options.verificationKeys.map((pem) => createPublicKey(pem)),
    ];
    this.#liveUid = options.liveUid;
  }

  async sign(options: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly audiences: readonly string[];
    readonly expiresInSeconds: number;
    readonly bound?: BoundObject;
    readonly node?: { readonly name: string; readonly uid: string };
  }): Promise<{ token: string; expiresAt: Date }> {
    const { namespace, name, uid, bound, node } = options;
    const now = Math.floor(Date.now() / 1000);
    const expiry = now + options.expiresInSeconds;
    const claims: KubernetesClaims = {
      namespace,
      serviceaccount: { name, uid },
      ...(bound === undefined ? {} : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
      ...(node === undefined || bound?.kind === 'Node' ? {} : { node }),
    };
    const first = [...(await this.#byId()).keys()][0]!;
    const token = await new SignJWT({ 'kubernetes.io': claims })
      .setProtectedHeader({ alg: algorithmOf(this.#signingKey), kid: first })
      .setIssuer(this.issuer)
      .setSubject(`${userPrefix}${namespace}:${name}`)
      .setAudience([...options.audiences])
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(expiry)
      .setJti(crypto.randomUUID())
      .sign(this.#signingKey);
    return { token, expiresAt: new Date(expiry * 1000) };
  }

  /** `undefined`: not a token of ours, or no longer valid. */
  async verify(token: string): Promise<VerifiedToken | undefined> {
    const cached = this.#verified.get(token);
    const result = cached ?? (await this.#check(token));
    if (result === undefined || Date.now() >= result.expiresAt || !result.alive()) {
      if (cached !== undefined) this.#verified.delete(token);
      return undefined;
    }
    if (cached === undefined) {
      if (this.#verified.size >= maxCached) this.#verified.clear();
      this.#verified.set(token, result);
    }
    return result;
  }

  async #check(token: string): Promise<VerifiedToken | undefined> {
    let payload: JWTPayload;
    try {
      const { kid } = decodeProtectedHeader(token);
      const keys = await this.#byId();
      const found = kid === undefined ? undefined : keys.get(kid);
      const candidates = found === undefined ? [...keys.values()] : [found];
      payload = await firstThatVerifies(
        token,
        candidates.map(({ key }) => key),
        this.issuer,
      );
    } catch {
      // Not a JWT, a bad signature, another issuer, expired: all are one 401 to the client.
      return undefined;
    }
    const claims = payload['kubernetes.io'] as KubernetesClaims | undefined;
    const { namespace } = claims ?? {};
    const account = claims?.serviceaccount;
    if (namespace === undefined || account?.name === undefined || account.uid === undefined) return undefined;
    if (payload.sub !== `${userPrefix}${namespace}:${account.name}`) return undefined;
    const { name, uid } = account;
    const extra: Record<string, string[]> = {};
    if (payload.jti !== undefined) extra['authentication.kubernetes.io/credential-id'] = [`JTI=${payload.jti}`];
    if (claims?.pod !== undefined) {
      extra['authentication.kubernetes.io/pod-name'] = [claims.pod.name ?? ''];
      extra['authentication.kubernetes.io/pod-uid'] = [claims.pod.uid ?? ''];
    }
    if (claims?.node !== undefined) {
      extra['authentication.kubernetes.io/node-name'] = [claims.node.name ?? ''];
      if (claims.node.uid !== undefined) extra['authentication.kubernetes.io/node-uid'] = [claims.node.uid];
    }
    const bound = (['pod', 'secret', 'node'] as const).flatMap((kind) => {
      const reference = claims?.[kind];
      // The node of a pod's token is information only.
      return reference === undefined || (kind === 'node' && claims?.pod !== undefined) ? [] : [{ kind, reference }];
    });
    const alive = (): boolean =>
      this.#liveUid('serviceaccounts', namespace, name) === uid &&
      bound.every(
        ({ kind, reference }) =>
          this.#liveUid(`${kind}s`, kind === 'node' ? '' : namespace, reference.name ?? '') === reference.uid,
      );
    return {
      identity: { ...serviceAccountIdentity(namespace, name, uid), extra },
      audiences: typeof payload.aud === 'string' ? [payload.aud] : (payload.aud ?? []),
      expiresAt: (payload.exp ?? 0) * 1000,
      alive,
    };
  }

  /** `/openid/v1/jwks` */
  async jwks(): Promise<object> {
    return { keys: [...(await this.#byId()).values()].map(({ jwk }) => jwk) };
  }

  /** `/.well-known/openid-configuration` */
  async configuration(jwksUri: string): Promise<object> {
    const algorithms = new Set(this.#verificationKeys.map(algorithmOf));
    return {
      issuer: this.issuer,
      jwks_uri: jwksUri,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [...algorithms],
    };
  }

  #byId() {
    this.#keys ??= (async () => {
      const keys = new Map<string, { key: KeyObject; jwk: JWK }>();
      for (const key of this.#verificationKeys) {
        const jwk = await exportJWK(key);
        const kid = await calculateJwkThumbprint(jwk);
        keys.set(kid, { key, jwk: { use: 'sig', kid, alg: algorithmOf(key), ...jwk } });
      }
      return keys;
    })();
    return this.#keys;
  }
}

function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? 'ES384' : curve === 'secp521r1' ? 'ES512' : 'ES256';
}

async function firstThatVerifies(token: string, keys: readonly KeyObject[], issuer: string): Promise<JWTPayload> {
  let failure: unknown = new Error('no key');
  for (const key of keys) {
    try {
      return (await jwtVerify(token, key, { issuer })).payload;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** `Authorization: Bearer` with a service-account token for one of this API's audiences. */
export class ServiceAccountAuthenticator implements Authenticator {
  readonly name = 'service-account';
  readonly #tokens: ServiceAccountTokens;
  readonly #audiences: readonly string[];

  constructor(tokens: ServiceAccountTokens, audiences: readonly string[]) {
    this.#tokens = tokens;
    this.#audiences = audiences;
  }

  async authenticate({ header }: Credentials): Promise<Authenticated> {
    const authorization = header('authorization');
    if (authorization === undefined || !/^bearer /i.test(authorization)) return undefined;
    const token = authorization.slice(7).trim();
    if (token === '') return undefined;
    const verified = await this.#tokens.verify(token);
    if (verified === undefined || !verified.audiences.some((audience) => this.#audiences.includes(audience)))
      return 'invalid';
    return verified.identity;
  }
}
