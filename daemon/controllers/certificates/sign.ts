// Needed by @peculiar/x509's dependency injection before it is loaded.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { KeyPair } from '../../cluster/pki/certificate.ts';
import type { ParsedRequest } from './request.ts';

// Node's WebCrypto is the standard one; its types differ from the DOM's only in name.
x509.cryptoProvider.set('default', webcrypto as never);

const yearSeconds = 365 * 24 * 3600;
/** Clocks of peers may be behind ours: a fresh certificate is already valid for those. */
const backdateMs = 5 * 60 * 1000;

const keyUsages: Readonly<Record<string, x509.KeyUsageFlags>> = {
  signing: x509.KeyUsageFlags.digitalSignature,
  'digital signature': x509.KeyUsageFlags.digitalSignature,
  'content commitment': x509.KeyUsageFlags.nonRepudiation,
  'key encipherment': x509.KeyUsageFlags.keyEncipherment,
  'key agreement': x509.KeyUsageFlags.keyAgreement,
  'data encipherment': x509.KeyUsageFlags.dataEncipherment,
};

const extendedUsages: Readonly<Record<string, x509.ExtendedKeyUsage>> = {
  'client auth': x509.ExtendedKeyUsage.clientAuth,
  'server auth': x509.ExtendedKeyUsage.serverAuth,
};

/**
 * A certificate, PEM, for subject, names and key of a request, for a year or what the request asks if that is less, and never
 * beyond the authority's own end. Throws when the request is not signed by its own key.
 */
export async function signRequest(
  authority: KeyPair,
  { pkcs10, names }: ParsedRequest,
  usages: readonly string[],
  expirationSeconds: number | undefined,
  now: Date,
): Promise<string> {
  if (!(await pkcs10.verify())) throw new Error('the certificate request is not signed by its own key');
  const issuer = new x509.X509Certificate(authority.cert);
  const algorithm = { ...issuer.publicKey.algorithm, hash: 'SHA-256' };
  const key = x509.PemConverter.decodeFirst(authority.key);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', key, algorithm, false, ['sign']);
  const flags = usages.reduce((all, usage) => all | (keyUsages[usage] ?? 0), 0);
  const purposes = usages.flatMap((usage) => extendedUsages[usage] ?? []);
  const lifetimeMs = Math.min(expirationSeconds ?? yearSeconds, yearSeconds) * 1000;
  const notAfter = Math.min(now.getTime() + lifetimeMs, issuer.notAfter.getTime());
  const serial = randomBytes(16);
  // Positive and without a leading zero byte, as DER wants it (RFC 5280, 4.1.2.2).
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString('hex'),
    subject: pkcs10.subjectName,
    issuer: issuer.subjectName,
    notBefore: new Date(now.getTime() - backdateMs),
    notAfter: new Date(notAfter),
    signingAlgorithm: algorithm,
    publicKey: pkcs10.publicKey,
    signingKey: signingKey as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(flags, true),
      ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(purposes)]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names as x509.JsonGeneralName[])]),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** When a certificate ends, in milliseconds since 1970; undefined when it cannot be read. */
export function endOf(pem: string): number | undefined {
  try {
    return new x509.X509Certificate(pem).notAfter.getTime();
  } catch {
    // What a foreign signer wrote is its own matter.
    return undefined;
  }
}
