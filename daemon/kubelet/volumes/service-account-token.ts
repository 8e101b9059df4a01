import type { TokenRequest } from '../../apimachinery/types/authentication-v1.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { serviceaccounts } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import { uidOf } from '../container/labels.ts';

const MAX_AGE_MS = 24 * 3600 * 1000;
const MAX_JITTER_MS = 10_000;

interface CachedToken {
  readonly token: string;
  readonly refreshAt: number;
  readonly expiresAt: number;
}

/**
 * Tokens bound to pods, asked for again when 80 % of their life, or a day, is over. While the API is out of reach a token
 * that is still valid is handed out.
 */
export class TokenManager {
  readonly #client: ApiClient;
  readonly #tokens = new Map<string, CachedToken>();

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async token(pod: Pod, audience: string | undefined, expirationSeconds: number): Promise<string> {
    const account = pod.spec?.serviceAccountName ?? 'default';
    const uid = uidOf(pod);
    const key = JSON.stringify([uid, account, audience, expirationSeconds]);
    const cached = this.#tokens.get(key);
    const now = Date.now();
    if (cached !== undefined && now < cached.refreshAt) return cached.token;
    try {
      const response = await this.#client.createSubresource<TokenRequest, TokenRequest>(
        serviceaccounts,
        { namespace: pod.metadata?.namespace ?? '', name: account },
        'token',
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: {},
          spec: {
            audiences: audience === undefined || audience === '' ? [] : [audience],
            expirationSeconds,
            boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata?.name ?? '', uid },
          },
        },
      );
      const { token = '', expirationTimestamp = '' } = response.status ?? {};
      const expiresAt = Date.parse(expirationTimestamp);
      const life = expiresAt - now;
      const refreshAt = now + Math.min(life * 0.8, MAX_AGE_MS) - Math.random() * MAX_JITTER_MS;
      this.#tokens.set(key, { token, refreshAt, expiresAt });
      return token;
    } catch (error) {
      if (cached !== undefined && now < cached.expiresAt) return cached.token;
      throw new Error(`failed to fetch token: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The pod is gone. */
  forget(uid: string): void {
    for (const key of this.#tokens.keys()) if (key.startsWith(`["${uid}"`)) this.#tokens.delete(key);
  }
}
