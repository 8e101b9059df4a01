import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { createAuthority, issue } from '../../daemon/cluster/pki/certificate.ts';
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';
import { ExternalStore } from '../../daemon/store/external.ts';

// Both listeners with mutual TLS: members find each other, clients need a certificate of the store's own authority.

const logger = createLogger('test', 'fatal');
const directory = mkdtempSync(join(tmpdir(), 'balsa-tls-'));
const now = new Date();
const authority = await createAuthority('etcd-ca', now);
const stranger = await createAuthority('another-ca', now);
const names = ['127.0.0.1', 'localhost'];
const usages = ['server', 'client'] as const;
const pair = await issue(authority, { commonName: 'member', names, usages, days: 1 }, now);
const foreign = await issue(stranger, { commonName: 'nobody', names, usages, days: 1 }, now);
const tls = { cert: pair.cert, key: pair.key, ca: authority.cert };

const servers = Array.from({ length: 4 }, () => createServer().listen(0, '127.0.0.1'));
await Promise.all(servers.map((server) => once(server, 'listening')));
const ports = servers.map((server) => (server.address() as { port: number }).port);
for (const server of servers) server.close();

const initialMembers = [0, 1].map((index) => ({ name: `m${index}`, peerUrls: [`https://127.0.0.1:${ports[index]}`] }));
const members = await Promise.all(
  [0, 1].map((index) =>
    startEmbeddedStore({
      dataDir: join(directory, `m${index}`),
      nodeName: `m${index}`,
      clusterToken: 'tls',
      initialMembers,
      peerListen: { host: '127.0.0.1', port: ports[index]!, tls },
      peerUrls: [`https://127.0.0.1:${ports[index]}`],
      clientListen: { host: '127.0.0.1', port: ports[index + 2]!, tls },
      heartbeatInterval: 20,
      electionTimeout: 200,
      logger,
    }),
  ),
);
t.teardown(async () => {
  await Promise.all(members.map((member) => member.stop()));
  rmSync(directory, { recursive: true });
});
const endpoint = `https://127.0.0.1:${ports[2]}`;

t.test('members replicate over mutual TLS', async (t) => {
  await members[0]!.store.put({ key: Buffer.from('a'), value: Buffer.from('1') });
  t.equal((await members[1]!.store.range({ key: Buffer.from('a') })).count, 1);
});

t.test('etcdctl gets in with a certificate, and only with one', async (t) => {
  for (const [name, text] of Object.entries({ ...tls, foreignCert: foreign.cert, foreignKey: foreign.key })) {
    writeFileSync(join(directory, name), text);
  }
  const file = (name: string) => join(directory, name);
  const etcdctl = (...args: string[]) =>
    promisify(execFile)(
      'etcdctl',
      [`--endpoints=${endpoint}`, `--cacert=${file('ca')}`, '--dial-timeout=2s', ...args],
      {
        env: { ...process.env, ETCDCTL_API: '3' },
      },
    );
  const { stdout } = await etcdctl(`--cert=${file('cert')}`, `--key=${file('key')}`, 'get', 'a', '--print-value-only');
  t.equal(stdout.trim(), '1');
  // Members make themselves known soon after they start; then clients find all of them through one.
  for (let known = 0; known < 2; ) {
    const status = await etcdctl(`--cert=${file('cert')}`, `--key=${file('key')}`, 'endpoint', 'status', '--cluster');
    known = status.stdout
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('https://')).length;
  }
  await t.rejects(etcdctl('get', 'a'), 'no certificate');
  await t.rejects(etcdctl(`--cert=${file('foreignCert')}`, `--key=${file('foreignKey')}`, 'get', 'a'), 'a stranger’s');
});

t.test('the external store reaches it', async (t) => {
  const store = new ExternalStore({ endpoints: [endpoint], tls, logger });
  await store.connect();
  t.equal((await store.range({ key: Buffer.from('a') })).count, 1);
  await store.stop();
});
