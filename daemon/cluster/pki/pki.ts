import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import type { Config } from '../../config/options.ts';
import { createAuthority, createSigningKey, issue, type KeyPair } from './certificate.ts';
import { type AuthorityName, authorityRows, type LeafName, type LeafRow, leafRows } from './layout.ts';

/** Days a node's or component's certificate lives, and how many days before its end it is replaced. */
export const leafDays = 365;
const renewDays = 60;

export interface Pki {
  readonly authorities: Readonly<Record<AuthorityName, KeyPair>>;
  readonly leaves: Readonly<Record<LeafName, KeyPair>>;
  /** Service-account token keys, PEM. */
  readonly serviceAccount: { readonly privateKey: string; readonly publicKey: string };
}

/** Written beside the target and renamed over it, so that a crash leaves the old file or the new one, never half. */
export function writeSecretFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.new`;
  writeFileSync(fresh, text, { mode: 0o600, flush: true });
  renameSync(fresh, path);
}

/** Keeps a certificate and its key as `<directory>/<name>.crt` and `.key`. */
export function writePair(directory: string, name: string, pair: KeyPair): void {
  // The key goes first: a certificate without its key would look complete.
  writeSecretFile(join(directory, `${name}.key`), pair.key);
  writeSecretFile(join(directory, `${name}.crt`), pair.cert);
}

/** Undefined when either file is missing. */
export function readPair(directory: string, name: string): KeyPair | undefined {
  const files = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  if (!existsSync(files.cert) || !existsSync(files.key)) return undefined;
  return { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
}

/** The certificate, PEM, of an authority whose key this node need not have. */
export function readAuthority(directory: string, name: string): string {
  const file = join(directory, `${name}.crt`);
  const text = readFileSync(file, 'utf8');
  parse(file, text);
  return text;
}

function parse(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new Error(`${file}: not a certificate (${(error as Error).message}); restore it from a backup or remove it`);
  }
}

/** A leaf is kept while its issuer, its names and its time still fit; otherwise it is issued anew. */
function stillGood(file: string, pair: KeyPair, authority: KeyPair, row: LeafRow, config: Config, now: Date): boolean {
  const certificate = parse(file, pair.cert);
  if (!certificate.verify(new X509Certificate(authority.cert).publicKey)) return false;
  if (new Date(certificate.validTo).getTime() - now.getTime() < renewDays * 24 * 3600 * 1000) return false;
  const covers = (name: string) =>
    (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
  return (row.names?.(config) ?? []).every(covers);
}

/**
 * The certificates of this node from `<dataDir>/pki`: what is missing, about to expire, or no longer fits the
 * configuration is made; authorities and the token key are made once and never replaced here.
 */
export async function loadOrCreatePki(config: Config, now: Date = new Date()): Promise<Pki> {
  const directory = join(config.dataDir, 'pki');
  const authorities = {} as Record<AuthorityName, KeyPair>;
  for (const { name, commonName } of authorityRows) {
    let pair = readPair(directory, name);
    if (pair === undefined) {
      if (existsSync(join(directory, `${name}.crt`)))
        throw new Error(
          `${join(directory, `${name}.key`)} is missing: every certificate of this cluster depends on it`,
        );
      pair = await createAuthority(commonName, now);
      writePair(directory, name, pair);
    }
    parse(join(directory, `${name}.crt`), pair.cert);
    authorities[name] = pair;
  }
  const leaves = {} as Record<LeafName, KeyPair>;
  for (const row of leafRows as readonly (LeafRow & { name: LeafName })[]) {
    const authority = authorities[row.authority];
    const kept = readPair(directory, row.name);
    if (kept !== undefined && stillGood(join(directory, `${row.name}.crt`), kept, authority, row, config, now)) {
      leaves[row.name] = kept;
      continue;
    }
    const request = {
      commonName: row.commonName(config),
      organizations: row.organizations ?? [],
      names: [...new Set(row.names?.(config) ?? [])],
      usages: row.usages,
      days: leafDays,
    };
    const pair = await issue(authority, request, now);
    writePair(directory, row.name, pair);
    leaves[row.name] = pair;
  }
  return { authorities, leaves, serviceAccount: await loadOrCreateSigningKey(directory) };
}

async function loadOrCreateSigningKey(directory: string): Promise<Pki['serviceAccount']> {
  const files = { privateKey: join(directory, 'sa.key'), publicKey: join(directory, 'sa.pub') };
  if (existsSync(files.privateKey) && existsSync(files.publicKey))
    return { privateKey: readFileSync(files.privateKey, 'utf8'), publicKey: readFileSync(files.publicKey, 'utf8') };
  const keys = await createSigningKey();
  writeSecretFile(files.privateKey, keys.privateKey);
  writeSecretFile(files.publicKey, keys.publicKey);
  return keys;
}
