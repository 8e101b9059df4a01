import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../log/logger.ts';
import { MemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

/** An API server over a store in memory with throwaway certificates, for tests and benches. */
export interface TestingServer {
  readonly api: ApiServer;
  readonly store: Store;
  readonly ca: string;
  /** Client certificate of an administrator (`system:masters`). */
  readonly admin: { readonly cert: string; readonly key: string };
  /** A client certificate for any user. */
  clientCertificate(name: string, groups: readonly string[]): { cert: string; key: string };
  /** A serving certificate for an address. */
  servingCertificate(address: string): { cert: string; key: string };
  /** Path of a kubeconfig for the administrator. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

function openssl(args: readonly string[], directory: string): void {
  execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'ignore'] });
}

export async function startTestingServer(
  options: {
    readonly store?: Store;
    readonly logLevel?: string;
    readonly audit?: { readonly policyFile: string; readonly logPath: string };
    readonly encryptionConfig?: string;
  } = {},
): Promise<TestingServer> {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-api-'));
  const read = (file: string) => readFileSync(join(directory, file), 'utf8');
  const newKey = (name: string) =>
    openssl(['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`], directory);
  newKey('ca');
  openssl(
    ['req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=balsa-test-ca', '-days', '2', '-out', 'ca.crt'],
    directory,
  );
  let serial = 1;
  const certificate = (subject: string, extensions: string) => {
    const name = `c${serial++}`;
    newKey(name);
    writeFileSync(join(directory, `${name}.ext`), extensions);
    openssl(['req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`], directory);
    openssl(
      [
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.crt',
        '-CAkey',
        'ca.key',
        '-set_serial',
        String(serial),
        '-days',
        '2',
        '-extfile',
        `${name}.ext`,
        '-out',
        `${name}.crt`,
      ],
      directory,
    );
    return { cert: read(`${name}.crt`), key: read(`${name}.key`) };
  };
  const serving = certificate(
    '/CN=kube-apiserver',
    'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n',
  );
  const clientCertificate = (name: string, groups: readonly string[]) =>
    certificate(`${groups.map((group) => `/O=${group}`).join('')}/CN=${name}`, 'extendedKeyUsage=clientAuth\n');
  const admin = clientCertificate('admin', ['system:masters']);
  newKey('sa');
  const ca = read('ca.crt');
  const store = options.store ?? new MemoryStore();
  const api = await startApiServer({
    store,
    listen: { host: '127.0.0.1', port: 0 },
    advertiseAddress: '192.0.2.1',
    tls: { cert: serving.cert, key: serving.key, clientCa: ca },
    serviceAccount: {
      signingKey: read('sa.key'),
      verificationKeys: [],
      issuer: 'https://kubernetes.default.svc.cluster.local',
    },
    kubeletClient: { ...admin, ca },
    proxyClient: clientCertificate('front-proxy-client', []),
    serviceCidr: '10.96.0.0/12',
    nodePortRange: { from: 30000, to: 32767 },
    clusterDomain: 'cluster.local',
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    ...(options.encryptionConfig === undefined ? {} : { encryptionConfig: options.encryptionConfig }),
    logger: createLogger('api', options.logLevel ?? 'error'),
  });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: api.url, 'certificate-authority-data': base64(ca) } }],
      users: [
        {
          name: 'admin',
          user: { 'client-certificate-data': base64(admin.cert), 'client-key-data': base64(admin.key) },
        },
      ],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      'current-context': 'test',
    }),
  );
  return {
    api,
    store,
    ca,
    admin,
    clientCertificate,
    servingCertificate: (address) =>
      certificate('/CN=kubelet', `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth\n`),
    kubeconfig,
    async stop() {
      await api.stop();
      rmSync(directory, { recursive: true });
    },
  };
}
