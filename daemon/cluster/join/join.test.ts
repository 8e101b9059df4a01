import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Node, Secret } from '../../apimachinery/types/core-v1.ts';
import { nodes, secrets } from '../../apimachinery/types/resources.ts';
import { FakeClient } from '../../client/fake-client.ts';
import { configFromArguments } from '../../config/config.ts';
import { createLogger } from '../../log/logger.ts';
import type { RunningStore } from '../../store/embedded.ts';
import { createAuthority, createSigningRequest, sign } from '../pki/certificate.ts';
import { loadOrCreatePki } from '../pki/pki.ts';
import { admittedRole } from './bootstrap-tokens.ts';
import { joinedCluster } from './join-client.ts';
import { startJoinServer } from './join-server.ts';
import { authorityHash, formatToken, parseToken } from './token.ts';

const logger = createLogger('test', 'silent');
const hash = 'ab'.repeat(32);
const inOneHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

function tokenSecret(change: Record<string, string> = {}, type = 'bootstrap.kubernetes.io/token'): Secret {
  const fields = {
    'token-id': 'abc123',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:balsa:agent',
    expiration: inOneHour(),
    ...change,
  };
  const data = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  );
  return { metadata: { name: 'bootstrap-token-abc123', namespace: 'kube-system' }, type, data };
}

t.test('a token survives being written and read; what is none is refused without being shown', async (t) => {
  const token = { id: 'abc123', secret: '0123456789abcdef', authorityHash: hash };
  t.same(parseToken(`${formatToken(token)}\n`), token);
  for (const text of ['', 'abc123.0123456789abcdef', formatToken(token).toUpperCase(), `${formatToken(token)}0`]) {
    const error = t.throws(() => parseToken(text), /not of the form/) as Error;
    t.notOk(text !== '' && error.message.includes(text));
  }
});

t.test('a token admits only while it is known, right, in time and meant for this', async (t) => {
  const good = 'abc123.0123456789abcdef';
  const role = async (secret: Secret, token = good) => {
    const client = new FakeClient();
    await client.create(secrets, secret);
    return (await admittedRole(client, token))?.role;
  };
  t.equal(await role(tokenSecret()), 'agent');
  t.equal(await role(tokenSecret({ 'auth-extra-groups': 'system:bootstrappers:balsa:server' })), 'server');
  t.equal(await role(tokenSecret({ 'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token' })), '');
  t.equal(await role(tokenSecret(), 'abc123.0123456789abcdee'), undefined);
  t.equal(await role(tokenSecret(), 'abc124.0123456789abcdef'), undefined);
  t.equal(await role(tokenSecret(), '../x'), undefined);
  t.equal(await role(tokenSecret({ expiration: '2020-01-01T00:00:00Z' })), undefined);
  t.equal(await role(tokenSecret({ expiration: 'some day' })), undefined);
  t.equal(await role(tokenSecret({ 'usage-bootstrap-authentication': 'false' })), undefined);
  t.equal(await role(tokenSecret({ 'token-id': 'zzz999' })), undefined);
  t.equal(await role(tokenSecret({}, 'Opaque')), undefined);
});

t.test('a request is signed for its key alone', async (t) => {
  const authority = await createAuthority('kubernetes', new Date());
  const { csr, key } = await createSigningRequest('system:masters');
  const leaf = { commonName: 'system:node:n2', organizations: ['system:nodes'], usages: ['client'] as const, days: 1 };
  const certificate = new X509Certificate(await sign(authority, csr, leaf, new Date()));
  t.equal(certificate.subject, 'O=system:nodes\nCN=system:node:n2');
  t.ok(certificate.verify(new X509Certificate(authority.cert).publicKey));
  t.notOk(certificate.ca);
  t.match(key, /PRIVATE KEY/);
  const der = Buffer.from(csr.replace(/-----.*-----|\s/g, ''), 'base64');
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  await t.rejects(sign(authority, forged, leaf, new Date()));
});

t.test('an agent joins by its token, once, and is refused what is another’s', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-join-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const serverConfig = configFromArguments([
    ...['--data-dir', join(directory, 'server'), '--node-name', 'n1', '--node-ip', '10.9.8.1'],
    ...['--pod-cidr', '10.50.0.0/16', '--cluster-domain', 'test.local'],
  ]);
  const pki = await loadOrCreatePki(serverConfig);
  const client = new FakeClient();
  await client.create(secrets, tokenSecret());
  const server = await startJoinServer({
    listen: { host: '127.0.0.1', port: 0 },
    config: serverConfig,
    pki,
    client,
    // An agent's join asks nothing of it.
    store: {} as RunningStore,
    logger,
  });
  t.teardown(() => server.stop());
  const token = formatToken({
    id: 'abc123',
    secret: '0123456789abcdef',
    authorityHash: authorityHash(new X509Certificate(pki.authorities.ca.cert)),
  });
  let agents = 0;
  const attempt = (name: string, address: string, with_: string, ...flags: string[]) => {
    const dataDir = join(directory, `agent-${agents++}`);
    const named = ['--data-dir', dataDir, '--node-name', name, '--node-ip', address];
    const joining = ['--join', `127.0.0.1:${server.port}`, '--token', with_];
    const config = configFromArguments([...named, ...joining, ...flags]);
    return { dataDir, named, join: () => joinedCluster(config, logger) };
  };

  const first = attempt('n2', '10.9.8.2', token);
  const { dataDir, named } = first;
  const joined = await first.join();
  t.match(joined, {
    role: ['agent'],
    apiServers: ['https://10.9.8.1:6443'],
    settings: { podCidr: '10.50.0.0/16', clusterDomain: 'test.local', nodePortRange: { from: 30000, to: 32767 } },
  });
  for (const file of readdirSync(dataDir, { recursive: true, withFileTypes: true }))
    if (file.isFile()) t.equal(statSync(join(file.parentPath, file.name)).mode & 0o777, 0o600, file.name);
  t.notOk(readdirSync(join(dataDir, 'pki')).includes('ca.key'), 'the authority’s key stays with the servers');
  t.same(await joinedCluster(configFromArguments(named), logger), joined, 'a restart needs no token');
  const moved = configFromArguments([...named.slice(0, 4), '--node-ip', '10.9.8.77']);
  await t.rejects(joinedCluster(moved, logger), /joined its cluster with the nodeIp 10\.9\.8\.2/);

  const ready: Node = {
    metadata: { name: 'n3' },
    spec: {},
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '10.9.8.3' }],
    },
  };
  await client.create(nodes, ready);
  await client.update(
    nodes,
    { ...(await client.get(nodes, { name: 'n3' })), status: ready.status ?? {} },
    {
      subresource: 'status',
    },
  );
  const wrongHash = token.replace(/[0-9a-f]{64}$/, hash);
  const cases: readonly [ReturnType<typeof attempt>, RegExp][] = [
    [attempt('n1', '10.9.8.4', token), /the name n1 is a server's/],
    [attempt('kubernetes.default.svc', '10.9.8.4', token), /is a server's/],
    [attempt('balsa-control', '10.9.8.4', token), /is a server's/],
    [attempt('n4', '10.9.8.1', token), /the address 10\.9\.8\.1 is a server's/],
    [attempt('n4', '10.9.8.3', token), /the address 10\.9\.8\.3 is that of the node n3/],
    [attempt('n3', '10.9.8.3', token), /a node n3 is in the cluster and Ready/],
    [attempt('n4', '10.9.8.4', token, '--role', 'server'), /this token is for an agent/],
    [attempt('n4', '10.9.8.4', token.replace('abc123', 'abc124')), /not known or has expired/],
    [attempt('n4', '10.9.8.4', wrongHash), /the hash of its authority differs\. Nothing was sent to it/],
    [attempt('n4', '10.9.8.4', ''), /--join needs a --token/],
  ];
  for (const [{ dataDir: refused, join: failing }, message] of cases) {
    await t.rejects(failing(), message);
    t.throws(() => readdirSync(join(refused, 'pki')), { code: 'ENOENT' });
  }
});
