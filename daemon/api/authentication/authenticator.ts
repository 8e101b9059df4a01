import type { TLSSocket } from 'node:tls';
import type { Identity } from '../../client/api-client.ts';

/** What authentication sees of a request. */
export interface Credentials {
  readonly socket: TLSSocket | undefined;
  readonly header: (name: string) => string | undefined;
  /** Every value of a header that may occur more than once. */
  readonly headers: (name: string) => readonly string[];
  readonly headerNames: () => readonly string[];
}

/**
 * `undefined`: the request carries no credentials of this kind. A credential that is there and wrong is `invalid`: the
 * request gets a 401 unless another authenticator accepts it.
 */
export type Authenticated = Identity | 'invalid' | undefined;

export interface Authenticator {
  readonly name: string;
  authenticate(credentials: Credentials): Authenticated | Promise<Authenticated>;
}

export const allAuthenticated = 'system:authenticated';
export const allUnauthenticated = 'system:unauthenticated';

export const anonymous: Identity = { name: 'system:anonymous', groups: [allUnauthenticated] };

/** Tries authenticators in order. 401 is `undefined`. */
export class AuthenticatorChain {
  readonly #authenticators: readonly Authenticator[];
  readonly #allowAnonymous: boolean;

  constructor(authenticators: readonly Authenticator[], allowAnonymous: boolean) {
    this.#authenticators = authenticators;
    this.#allowAnonymous = allowAnonymous;
  }

  async authenticate(credentials: Credentials): Promise<Identity | undefined> {
    let invalid = false;
    for (const authenticator of this.#authenticators) {
      const result = await authenticator.authenticate(credentials);
      if (result === 'invalid') invalid = true;
      else if (result !== undefined) return result;
    }
    return invalid || !this.#allowAnonymous ? undefined : anonymous;
  }
}

/** The identity with the group that everyone has who proved to be someone. */
export function authenticated(identity: Identity): Identity {
  if (identity.groups.includes(allAuthenticated) || identity.groups.includes(allUnauthenticated)) return identity;
  return { ...identity, groups: [...identity.groups, allAuthenticated] };
}
