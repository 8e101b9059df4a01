// Needed by @peculiar/x509's dependency injection before it is loaded.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

// Node's WebCrypto is the standard one; its types differ from the DOM's only in name.
x509.cryptoProvider.set('default', webcrypto as never);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 24 * 3600 * 1000;
/** Clocks of peers may be behind ours: a fresh certificate is already valid for those. */
const backdate = 5 * 60 * 1000;

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface LeafRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses; a server certificate needs at least one. */
  readonly names?: readonly string[];
  readonly usages: readonly ('server' | 'client')[];
  readonly days: number;
}

const pem = (label: string, der: ArrayBuffer): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd()}\n-----END ${label}-----\n`;

async function newKey(): Promise<{ keys: webcrypto.CryptoKeyPair; text: string }> {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  return { keys, text: pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)) };
}

function subject(commonName: string, organizations: readonly string[]): x509.JsonName {
  return [...organizations.map((organization) => ({ O: [organization] })), { CN: [commonName] }];
}

const serialNumber = (): string => {
  const bytes = randomBytes(16);
  // Positive and without a leading zero byte, as DER wants it (RFC 5280, 4.1.2.2).
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
};

function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - backdate), notAfter: new Date(now.getTime() + days * day) };
}

/** A new self-signed certificate authority. */
export async function createAuthority(commonName: string, now: Date, days = 3650): Promise<KeyPair> {
  const { keys, text } = await newKey();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: subject(commonName, []),
    ...validity(now, days),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem')}\n`, key: text };
}

/** A new key with a certificate signed by `authority`. */
export async function issue(authority: KeyPair, request: LeafRequest, now: Date): Promise<KeyPair> {
  const { keys, text } = await newKey();
  return { cert: await certify(authority, keys.publicKey, request, now), key: text };
}

/** A new key and a PKCS#10 request that proves its possession, both PEM. */
export async function createSigningRequest(
  commonName: string,
  organizations: readonly string[] = [],
): Promise<{ readonly csr: string; readonly key: string }> {
  const { keys, text } = await newKey();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject(commonName, organizations),
    keys,
    signingAlgorithm: algorithm,
  });
  return { csr: `${request.toString('pem')}\n`, key: text };
}

/**
 * A certificate, PEM, for the key of a PKCS#10 request; what else the request asks for is not looked at. Throws when it is
 * no request or its signature is wrong.
 */
export async function sign(authority: KeyPair, csr: string, request: LeafRequest, now: Date): Promise<string> {
  const parsed = new x509.Pkcs10CertificateRequest(csr);
  if (!(await parsed.verify())) throw new Error('the certificate request is not signed by its own key');
  return certify(authority, await parsed.publicKey.export(), request, now);
}

async function certify(
  authority: KeyPair,
  publicKey: webcrypto.CryptoKey,
  request: LeafRequest,
  now: Date,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    algorithm,
    false,
    ['sign'],
  );
  const names = (request.names ?? []).map(
    (name): x509.JsonGeneralName => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }),
  );
  const usages = request.usages.map((usage) =>
    usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  );
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subject(request.commonName, request.organizations ?? []),
    issuer: issuer.subjectName,
    ...validity(now, request.days),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension(usages),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** A new ES256 key for service-account tokens: PKCS#8 private and SPKI public, PEM. */
export async function createSigningKey(): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const { keys, text } = await newKey();
  return { privateKey: text, publicKey: pem('PUBLIC KEY', await webcrypto.subtle.exportKey('spki', keys.publicKey)) };
}
