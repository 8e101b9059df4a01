import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { Identity } from '../../client/api-client.ts';
import { type Authenticated, type Authenticator, authenticated, type Credentials } from './authenticator.ts';

/** The values of a subject attribute: Node gives one as a string, several as an array. */
function values(attribute: string | string[] | undefined): readonly string[] {
  return attribute === undefined ? [] : Array.isArray(attribute) ? attribute : [attribute];
}

/**
 * x509 client certificates signed by the cluster's client CA: the common name is the user, organizations are groups. Looked
 * at once for each connection; expiry is checked each time.
 */
export class ClientCertificateAuthenticator implements Authenticator {
  readonly name = 'x509';
  readonly #authorities: readonly X509Certificate[];
  readonly #identities = new WeakMap<TLSSocket, { identity: Identity | 'invalid' | undefined; validTo: number }>();

  /** `clientCa`: PEM, one or more certificates. */
  constructor(clientCa: string) {
    this.#authorities = certificatesOf(clientCa);
  }

  authenticate({ socket }: Credentials): Authenticated {
    if (socket === undefined) return undefined;
    let known = this.#identities.get(socket);
    if (known === undefined) {
      known = this.#read(socket);
      this.#identities.set(socket, known);
    }
    return typeof known.identity === 'object' && Date.now() > known.validTo ? 'invalid' : known.identity;
  }

  #read(socket: TLSSocket): { identity: Identity | 'invalid' | undefined; validTo: number } {
    const peer = socket.getPeerCertificate(true) as DetailedPeerCertificate | Record<string, never>;
    if (peer === null || peer['raw'] === undefined) return { identity: undefined, validTo: 0 };
    const certificate = peer as DetailedPeerCertificate;
    if (!isSignedBy(certificate, this.#authorities)) return { identity: 'invalid', validTo: 0 };
    const name = values(certificate.subject.CN)[0];
    if (name === undefined || name === '') return { identity: 'invalid', validTo: 0 };
    const validTo = Date.parse(certificate.valid_to);
    if (Date.now() < Date.parse(certificate.valid_from) || Date.now() > validTo)
      return { identity: 'invalid', validTo };
    return { identity: authenticated({ name, groups: [...values(certificate.subject.O)] }), validTo };
  }
}

export function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Whether a chain of the certificates that the peer sent leads to one of the authorities, and is for client use. */
export function isSignedBy(peer: DetailedPeerCertificate, authorities: readonly X509Certificate[]): boolean {
  const leaf = new X509Certificate(peer.raw);
  // Extended key usage, when there, must allow client authentication.
  const usages = leaf.keyUsage;
  if (usages !== undefined && !usages.includes('1.3.6.1.5.5.7.3.2') && !usages.includes('2.5.29.37.0')) return false;
  let certificate = leaf;
  let current = peer;
  for (let depth = 0; depth < 8; depth++) {
    for (const authority of authorities) {
      if (certificate.checkIssued(authority) && certificate.verify(authority.publicKey)) return true;
    }
    const issuer = current.issuerCertificate;
    if (issuer === undefined || issuer === current || issuer.raw === undefined || issuer.raw.equals(current.raw))
      return false;
    const next = new X509Certificate(issuer.raw);
    if (!next.ca || !certificate.checkIssued(next) || !certificate.verify(next.publicKey)) return false;
    certificate = next;
    current = issuer;
  }
  return false;
}
