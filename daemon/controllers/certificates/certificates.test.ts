import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import t from 'tap';
import { startTestingServer } from '../../api/testing-server.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import { certificatesigningrequests, clusterrolebindings } from '../../apimachinery/types/resources.ts';
import type { Identity } from '../../client/api-client.ts';
import { createSharedInformers } from '../../client/shared-informers.ts';
import { createAuthority, createSigningRequest } from '../../cluster/pki/certificate.ts';
import { controllerRows } from '../controller-table.ts';
import { startControllers } from '../controllers.ts';
import { silentLogger, TestCluster } from '../testing/test-cluster.ts';
import { signerRules, signers } from './request.ts';

const run = promisify(execFile);
const administrator: Identity = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
const kubelet: Identity = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };

async function requestOf(
  name: string,
  signerName: string,
  usages: string[],
  commonName: string,
  organizations: readonly string[] = [],
  expirationSeconds?: number,
): Promise<CertificateSigningRequest> {
  const { csr } = await createSigningRequest(commonName, organizations);
  const request = Buffer.from(csr).toString('base64');
  const expiry = expirationSeconds === undefined ? {} : { expirationSeconds };
  return { metadata: { name }, spec: { request, signerName, usages, ...expiry } };
}

t.test('requests are approved, signed or failed', async (t) => {
  const server = await startTestingServer();
  const ca = await createAuthority('ca', new Date());
  const informers = createSharedInformers(server.api.clientFor(administrator), silentLogger);
  const controllers = await startControllers({
    clientFor: (name) =>
      server.api.clientFor({
        name: `system:serviceaccount:kube-system:${name}`,
        groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
      }),
    informers,
    logger: silentLogger,
    rootCa: ca.cert,
    signingCa: ca,
    clusterPodCidr: '10.244.0.0/16',
    rows: controllerRows.filter(({ identity }) => identity === 'certificate-controller'),
  });
  t.teardown(async () => {
    await controllers.stop();
    await informers.stop();
    await server.stop();
  });
  const admin = server.api.clientFor(administrator);
  const node = server.api.clientFor(kubelet);
  const settled = async (name: string): Promise<CertificateSigningRequest> => {
    const ended = new AbortController();
    const watch = admin.watch(certificatesigningrequests, {
      fieldSelector: `metadata.name=${name}`,
      signal: ended.signal,
      resourceVersion: '0',
    });
    for await (const event of watch) {
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue;
      const { status } = event.object;
      const failed = status?.conditions?.some(({ type }) => type === 'Failed') === true;
      if (!failed && (status?.certificate ?? '') === '') continue;
      ended.abort();
      return event.object;
    }
    throw new Error('the watch ended');
  };
  const approve = async (request: CertificateSigningRequest): Promise<void> => {
    const created = await admin.create(certificatesigningrequests, request);
    const conditions = [{ type: 'Approved', status: 'True', reason: 'Test', message: 'by a test' }];
    await admin.update(certificatesigningrequests, { ...created, status: { conditions } }, { subresource: 'approval' });
  };

  await approve(await requestOf('dev', signers.apiClient, ['client auth'], 'dev', ['team'], 3600));
  const dev = await settled('dev');
  const certificate = new X509Certificate(Buffer.from(dev.status!.certificate!, 'base64'));
  t.ok(certificate.verify(new X509Certificate(ca.cert).publicKey), 'signed by the authority');
  t.match(certificate.subject, /O=team\nCN=dev/);
  const seconds = (Date.parse(certificate.validTo) - Date.now()) / 1000;
  t.ok(seconds > 3000 && seconds <= 3600, 'for as long as was asked');

  await admin.create(certificatesigningrequests, await requestOf('asked', signers.apiClient, ['client auth'], 'dev'));
  const kubectl = (...args: string[]) =>
    run('kubectl', args, { env: { ...process.env, KUBECONFIG: server.kubeconfig }, timeout: 30_000 });
  t.match(
    (await kubectl('get', 'csr', 'asked')).stdout,
    /asked .* kubernetes.io\/kube-apiserver-client +admin +<none> +Pending/,
  );
  t.equal(
    (await kubectl('certificate', 'approve', 'asked')).stdout,
    'certificatesigningrequest.certificates.k8s.io/asked approved\n',
  );
  await settled('asked');
  t.match((await kubectl('get', 'csr', 'asked')).stdout, /Approved,Issued/);

  await approve(await requestOf('server', signers.apiClient, ['server auth'], 'dev'));
  t.match(
    (await settled('server')).status?.conditions?.find(({ type }) => type === 'Failed'),
    {
      status: 'True',
      reason: 'SignerValidationFailure',
      message: 'invalid usage for client certificate: server auth',
    },
  );

  await admin.create(clusterrolebindings, {
    metadata: { name: 'renew' },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
  });
  const usages = ['digital signature', 'client auth'];
  const own = await requestOf('own', signers.kubeletClient, usages, 'system:node:n1', ['system:nodes']);
  await node.create(certificatesigningrequests, own);
  t.match((await settled('own')).status?.conditions?.[0], {
    type: 'Approved',
    status: 'True',
    reason: 'AutoApproved',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  });
});

t.test('the rules of the signers of kubelets', async (t) => {
  const request = (overrides: object) =>
    ({ commonName: 'system:node:a', organizations: ['system:nodes'], names: [], ...overrides }) as never;
  const client = ['client auth', 'digital signature'];
  const serving = ['server auth', 'digital signature', 'key encipherment'];
  const { [signers.kubeletClient]: forClient, [signers.kubeletServing]: forServing } = signerRules;
  const dns = { names: [{ type: 'dns', value: 'a' }] };
  t.equal(forClient(request({}), client), undefined);
  t.equal(forClient(request({ organizations: [] }), client), 'subject organization is not system:nodes');
  t.equal(forClient(request({ commonName: 'a' }), client), 'subject common name does not begin with system:node:');
  t.equal(forClient(request(dns), client), 'DNS subjectAltNames are not allowed');
  t.equal(forClient(request({}), serving), 'usages did not match [client auth digital signature key encipherment]');
  t.equal(forServing(request(dns), serving), undefined);
  t.equal(forServing(request({}), serving), 'DNS or IP subjectAltName is required');
});

t.test('what is decided goes after an hour, what is not after a day', async (t) => {
  const cluster = new TestCluster({ controllers: ['certificatesigningrequest-cleaner-controller'] });
  const denied = (time: string) => ({
    conditions: [{ type: 'Denied', status: 'True', reason: 'r', lastUpdateTime: time }],
  });
  const now = new Date(cluster.clock.now()).toISOString();
  const spec = { request: '', signerName: 'a/b' };
  cluster.client.seed(
    certificatesigningrequests,
    { metadata: { name: 'denied', creationTimestamp: now }, spec, status: denied(now) },
    { metadata: { name: 'pending', creationTimestamp: now }, spec },
  );
  await cluster.start();
  const names = async () =>
    (await cluster.client.list(certificatesigningrequests)).items.map(({ metadata }) => metadata.name);
  await cluster.advance(3590);
  t.same(await names(), ['denied', 'pending']);
  await cluster.advance(20);
  t.same(await names(), ['pending']);
  await cluster.advance(23 * 3600);
  t.same(await names(), []);
  await cluster.stop();
});
