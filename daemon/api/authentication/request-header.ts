import type { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { type Authenticated, type Authenticator, authenticated, type Credentials } from './authenticator.ts';
import { certificatesOf, isSignedBy } from './client-certificate.ts';

const extraPrefix = 'x-remote-extra-';

/** A front proxy, known by a certificate of its own authority, names the user in `X-Remote-*` headers. */
export class RequestHeaderAuthenticator implements Authenticator {
  readonly name = 'request-header';
  readonly #authorities: readonly X509Certificate[];
  readonly #names: readonly string[];
  readonly #trusted = new WeakMap<TLSSocket, boolean>();

  /** `names`: common names that may act as a front proxy. */
  constructor(requestHeaderCa: string, names: readonly string[]) {
    this.#authorities = certificatesOf(requestHeaderCa);
    this.#names = names;
  }

  authenticate({ socket, header, headers, headerNames }: Credentials): Authenticated {
    const name = header('x-remote-user');
    if (name === undefined || name === '' || socket === undefined) return undefined;
    let trusted = this.#trusted.get(socket);
    if (trusted === undefined) {
      trusted = this.#isProxy(socket);
      this.#trusted.set(socket, trusted);
    }
    if (!trusted) return undefined;
    const extra: Record<string, string[]> = {};
    for (const headerName of headerNames()) {
      if (headerName.startsWith(extraPrefix)) extra[headerName.slice(extraPrefix.length)] = [...headers(headerName)];
    }
    const uid = header('x-remote-uid');
    return authenticated({
      name,
      groups: [...headers('x-remote-group')],
      ...(uid === undefined ? {} : { uid }),
      ...(Object.keys(extra).length === 0 ? {} : { extra }),
    });
  }

  #isProxy(socket: TLSSocket): boolean {
    const peer = socket.getPeerCertificate(true) as DetailedPeerCertificate | Record<string, never>;
    if (peer === null || peer['raw'] === undefined) return false;
    const certificate = peer as DetailedPeerCertificate;
    const name = certificate.subject.CN as string | string[] | undefined;
    const first = Array.isArray(name) ? name[0] : name;
    return first !== undefined && this.#names.includes(first) && isSignedBy(certificate, this.#authorities);
  }
}
