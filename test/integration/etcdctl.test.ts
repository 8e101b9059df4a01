import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';

// Debian's etcdctl 3.4 against the embedded store: what it prints and how it fails is what etcd makes it print.

const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'balsa-etcdctl-'));
const { store, clientAddress, memberId, stop } = await startEmbeddedStore({
  dataDir: join(directory, 'data'),
  nodeName: 'one',
  clientListen: { host: '127.0.0.1', port: 0 },
  autoCompaction: 0,
  logger: createLogger('test', 'error'),
});
t.teardown(async () => {
  await stop();
  rmSync(directory, { recursive: true });
});
const endpoint = `127.0.0.1:${clientAddress?.port}`;
const environment = { ...process.env, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: endpoint };

async function etcdctl(...args: string[]): Promise<string> {
  const { stdout } = await run('etcdctl', args, { env: environment, timeout: 20_000 });
  return stdout.trim();
}

async function failure(...args: string[]): Promise<string> {
  try {
    await etcdctl(...args);
  } catch (error) {
    const { stderr } = error as { stderr: string };
    return stderr.trim().split('\n').at(-1) ?? '';
  }
  throw new Error(`etcdctl ${args.join(' ')} did not fail`);
}

t.test('keys', async (t) => {
  t.equal(await etcdctl('put', 'a', '1'), 'OK');
  t.equal(await etcdctl('put', 'b', '2'), 'OK');
  t.equal(await etcdctl('get', '', '--from-key'), 'a\n1\nb\n2');
  t.equal(await etcdctl('put', 'a', '3', '--prev-kv'), 'OK\na\n1');
  t.equal(await etcdctl('get', 'a', '--rev=2', '--print-value-only'), '1');
  t.equal(await etcdctl('get', '', '--from-key', '--keys-only', '--order=DESCEND', '--sort-by=KEY'), 'b\n\na');
  t.equal(await etcdctl('del', 'a', '--prev-kv'), '1\na\n3');
  const { kvs, count } = JSON.parse(await etcdctl('get', 'b', '-w', 'json')) as { kvs: unknown[]; count: number };
  t.match({ kvs, count }, { kvs: [{ key: 'Yg==', create_revision: 3, version: 1, value: 'Mg==' }], count: 1 });
  t.equal(await failure('get', 'a', '--rev=99'), 'Error: etcdserver: mvcc: required revision is a future revision');
  t.match(await failure('put', '', 'x'), /etcdserver: key is not provided/);
});

t.test('transactions', async (t) => {
  const child = spawn('etcdctl', ['txn'], { env: environment });
  child.stdin.end('value("b") = "2"\n\nput c yes\nget b\n\nput c no\n\n');
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  t.equal(code, 0);
  t.match(said, /SUCCESS\n\nOK\n\nb\n2/);
});

t.test('leases', async (t) => {
  const granted = await etcdctl('lease', 'grant', '100');
  t.match(granted, /^lease [0-9a-f]{16} granted with TTL\(100s\)$/);
  const id = granted.split(' ')[1]!;
  await etcdctl('put', 'leased', 'v', `--lease=${id}`);
  t.match(await etcdctl('lease', 'list'), new RegExp(`found 1 leases\n${id}`));
  t.match(await etcdctl('lease', 'timetolive', id, '--keys'), /granted with TTL\(100s\).*attached keys\(\[leased\]\)/);
  t.equal(await etcdctl('lease', 'keep-alive', '--once', id), `lease ${id} keepalived with TTL(100)`);
  t.equal(await etcdctl('lease', 'revoke', id), `lease ${id} revoked`);
  t.equal(await etcdctl('get', 'leased'), '');
  t.match(await failure('lease', 'revoke', id), /requested lease not found/);
  t.match(await etcdctl('lease', 'timetolive', id), /already expired/);
});

t.test('watches', async (t) => {
  const { revision } = await store.put({ key: Buffer.from('w/1'), value: Buffer.from('x') });
  const child = spawn('etcdctl', ['watch', '--prefix', 'w/', `--rev=${revision}`, '--prev-kv'], { env: environment });
  let said = '';
  const sawAll = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      said += chunk;
      if (said.includes('DELETE')) resolve();
    });
  });
  await etcdctl('put', 'w/1', 'y');
  await etcdctl('del', 'w/1');
  await sawAll;
  child.kill();
  t.match(said, /^PUT\nw\/1\nx\nPUT\nw\/1\nx\nw\/1\ny\nDELETE\nw\/1\ny\nw\/1/);
  await etcdctl('compact', String(revision));
  t.match(await failure('watch', 'w/1', '--rev=1'), /watch is canceled by the server/);
  t.match(await failure('compact', String(revision)), /required revision has been compacted/);
});

t.test('maintenance', async (t) => {
  const [status] = JSON.parse(await etcdctl('endpoint', 'status', '-w', 'json')) as {
    Status: Record<string, unknown>;
  }[];
  t.equal(BigInt(status?.Status['leader'] as number), memberId);
  t.match(await etcdctl('endpoint', 'hashkv'), new RegExp(`^${endpoint}, \\d+$`));
  t.equal(await etcdctl('alarm', 'list'), '');
  t.match(await etcdctl('defrag'), /Finished defragmenting/);
  t.match(await etcdctl('member', 'list'), new RegExp(`^${memberId.toString(16)}, started, one, , http://127.0.0.1:`));
  const file = join(directory, 'snapshot');
  await etcdctl('snapshot', 'save', file);
  t.equal(statSync(file).size % 512, 32, 'whole blocks and a checksum');
  const { stderr } = await run('etcdctl', ['endpoint', 'health'], { env: environment });
  t.match(stderr, /is healthy/);
});

t.test('users and roles', async (t) => {
  await etcdctl('put', 'c', 'v');
  t.match(await failure('auth', 'enable'), /root user does not exist/);
  await etcdctl('user', 'add', 'root:secret');
  await etcdctl('role', 'add', 'root');
  await etcdctl('user', 'grant-role', 'root', 'root');
  await etcdctl('user', 'add', 'bob:word');
  await etcdctl('role', 'add', 'reader');
  await etcdctl('role', 'grant-permission', 'reader', 'read', 'c', 'd');
  await etcdctl('user', 'grant-role', 'bob', 'reader');
  t.match(await failure('user', 'add', 'bob:again'), /user name already exists/);
  t.match(await etcdctl('auth', 'enable'), /Authentication Enabled/);
  t.match(await failure('get', 'c'), /user name is empty/);
  t.equal(await etcdctl('--user=bob:word', 'get', 'c', '--print-value-only'), 'v');
  t.match(await failure('--user=bob:word', 'put', 'c', 'x'), /permission denied/);
  t.match(await failure('--user=bob:word', 'get', '', '--from-key'), /permission denied/);
  t.match(await failure('--user=bob:wrong', 'get', 'c'), /authentication failed, invalid user ID or password/);
  t.match(await failure('--user=bob:word', 'user', 'list'), /permission denied/);
  t.equal(await etcdctl('--user=root:secret', 'user', 'list'), 'bob\nroot');
  t.match(await etcdctl('--user=root:secret', 'auth', 'disable'), /Authentication Disabled/);
  t.equal(await etcdctl('get', 'c', '--print-value-only'), 'v');
});
