import { X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { authorityHash } from './token.ts';

const timeoutMs = 10_000;

/**
 * The authority, PEM, that stands at the end of the chain a server shows, if it is the one with that hash. Nothing is sent:
 * the connection serves to look at the chain, and only what the hash vouches for is trusted afterwards. Throws otherwise.
 */
export async function authorityOf(address: { host: string; port: number }, hash: string): Promise<string> {
  const shown = `${address.host}:${address.port}`;
  const chain = await new Promise<X509Certificate[]>((resolve, reject) => {
    const socket = connect({ ...address, rejectUnauthorized: false, timeout: timeoutMs });
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    socket.once('error', (error) => reject(new Error(`${shown} cannot be reached: ${error.message}`)));
    socket.once('secureConnect', () => {
      const certificates: X509Certificate[] = [];
      let peer: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      while (peer?.raw !== undefined && certificates.length < 8) {
        certificates.push(new X509Certificate(peer.raw));
        peer = peer.issuerCertificate === peer ? undefined : peer.issuerCertificate;
      }
      socket.destroy();
      resolve(certificates);
    });
  });
  const authority = chain.find((certificate) => certificate.ca && authorityHash(certificate) === hash);
  if (authority === undefined)
    throw new Error(
      `${shown} does not belong to the cluster of this token: the hash of its authority differs. Nothing was sent to it`,
    );
  return authority.toString();
}
