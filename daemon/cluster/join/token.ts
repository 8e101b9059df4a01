import { createHash, randomInt, type X509Certificate } from 'node:crypto';

/** What a node may become with a token. */
export const tokenRoles = ['agent', 'server'] as const;
export type TokenRole = (typeof tokenRoles)[number];

/** A bootstrap token in Kubernetes' form, and the hash by which its holder knows the cluster's authority. */
export interface JoinToken {
  readonly id: string;
  readonly secret: string;
  /** SHA-256 of the authority's SubjectPublicKeyInfo, hexadecimal. */
  readonly authorityHash: string;
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** `length` random characters of those that bootstrap tokens are made of; 16 of them are 82 bits. */
export function randomPart(length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** The hash that `kubeadm` calls a CA certificate hash, without its `sha256:`. */
export function authorityHash(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

export function formatToken({ id, secret, authorityHash: hash }: JoinToken): string {
  return `${id}.${secret}@sha256:${hash}`;
}

/** Throws an Error that says what a token looks like; the message never holds the token. */
export function parseToken(text: string): JoinToken {
  const [, id, secret, hash] = /^([a-z0-9]{6})\.([a-z0-9]{16})@sha256:([0-9a-f]{64})$/.exec(text.trim()) ?? [];
  if (id === undefined || secret === undefined || hash === undefined)
    throw new Error(
      '--token: not of the form <id>.<secret>@sha256:<hash>: copy what `balsactl token create` printed, whole',
    );
  return { id, secret, authorityHash: hash };
}
