// The embedded store against Debian's etcd, in the same run, under the same load: one member and three.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { frame, Unframer } from '../../daemon/store/grpc/framing.ts';
import {
  LeaseGrantRequest,
  PutRequest,
  RangeRequest,
  StatusRequest,
  StatusResponse,
  TxnRequest,
  WatchRequest,
  WatchResponse,
} from '../../proto/generated/etcd/messages.ts';
import { GrpcLoad } from './load-grpc.ts';

const clients = 64;
const connections = 8;
const duration = Number(process.env['BENCH_MS'] ?? 4000);
const directory = mkdtempSync(join(tmpdir(), 'balsa-bench-'));
const children: ChildProcess[] = [];
const server = fileURLToPath(new URL('load-store-server.ts', import.meta.url));

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((each) => once(each, 'listening')));
  const ports = servers.map((each) => (each.address() as { port: number }).port);
  for (const each of servers) each.close();
  return ports;
}

interface Cluster {
  readonly addresses: readonly string[];
  readonly processes: readonly ChildProcess[];
}

function run(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  return child;
}

async function startBalsa(size: number): Promise<Cluster> {
  const ports = await freePorts(size * 2);
  const client = ports.slice(0, size);
  const peer = ports.slice(size);
  const processes = client.map((port, index) => {
    const replicated = size === 1 ? [] : [String(peer[index]), peer.join(',')];
    const args = ['--import=tsx', server, join(directory, `balsa-${size}-${index}`), String(port), ...replicated];
    return run(process.execPath, args);
  });
  return { addresses: client.map((port) => `127.0.0.1:${port}`), processes };
}

async function startEtcd(size: number): Promise<Cluster> {
  const ports = await freePorts(size * 2);
  const client = ports.slice(0, size);
  const peer = ports.slice(size);
  const cluster = peer.map((port, index) => `m${index}=http://127.0.0.1:${port}`).join(',');
  const processes = client.map((port, index) =>
    run('etcd', [
      `--name=m${index}`,
      `--data-dir=${join(directory, `etcd-${size}-${index}`)}`,
      `--listen-client-urls=http://127.0.0.1:${port}`,
      `--advertise-client-urls=http://127.0.0.1:${port}`,
      `--listen-peer-urls=http://127.0.0.1:${peer[index]}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer[index]}`,
      `--initial-cluster=${cluster}`,
      '--logger=zap',
      '--log-level=error',
    ]),
  );
  return { addresses: client.map((port) => `127.0.0.1:${port}`), processes };
}

/** The leader's address, once there is a leader. */
async function leaderOf(cluster: Cluster): Promise<string> {
  for (;;) {
    for (const address of cluster.addresses) {
      const load = new GrpcLoad(address, 1);
      try {
        const request = StatusRequest.encode({}).finish();
        const bytes = await load.call(load.session(), '/etcdserverpb.Maintenance/Status', request);
        const { leader, header } = StatusResponse.decode(bytes);
        if (leader !== 0n && leader === header?.memberId) return address;
      } catch {
        // Not up yet.
      } finally {
        load.close();
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const value = Buffer.alloc(256, 'v');
const nothing = Buffer.alloc(0);
const rangeOf = (key: string, more: Partial<RangeRequest> = {}) =>
  RangeRequest.encode(RangeRequest.fromPartial({ key: Buffer.from(key), ...more })).finish();
const put = (index: number) =>
  PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(`/bench/${index % 20_000}`), value })).finish();

function createTxn(index: number): Uint8Array {
  const key = Buffer.from(`/created/${index}/${process.hrtime.bigint()}`);
  return TxnRequest.encode({
    compare: [{ result: 0, target: 2, key, targetUnion: { $case: 'modRevision', value: 0n }, rangeEnd: nothing }],
    success: [{ request: { $case: 'requestPut', value: PutRequest.fromPartial({ key, value }) } }],
    failure: [],
  }).finish();
}

/** Events per second that reach so many watchers of one prefix, over eight connections, while one client writes. */
async function fanOut(address: string, watchers: number): Promise<number> {
  const load = new GrpcLoad(address, connections);
  let created = 0;
  let events = 0;
  for (let each = 0; each < watchers; each++) {
    const stream = load.session().request({
      ':method': 'POST',
      ':path': '/etcdserverpb.Watch/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const unframer = new Unframer(Number.MAX_SAFE_INTEGER, (message) => {
      const response = WatchResponse.decode(message);
      if (response.created) created++;
      events += response.events.length;
    });
    stream.on('data', (chunk: Buffer) => unframer.push(chunk));
    stream.on('error', () => {});
    const create = WatchRequest.fromPartial({
      requestUnion: {
        $case: 'createRequest',
        value: { key: Buffer.from('/fan/'), rangeEnd: Buffer.from('/fan0') },
      },
    });
    stream.write(frame(WatchRequest.encode(create).finish()));
  }
  while (created < watchers) await new Promise((resolve) => setTimeout(resolve, 10));
  const writer = new GrpcLoad(address, 1);
  const request = (index: number) =>
    PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(`/fan/${index % 100}`), value })).finish();
  const started = performance.now();
  // As fast as the watchers follow: a writer far ahead would measure its own backlog.
  let written = 0;
  while (performance.now() - started < duration) {
    await Promise.all(
      Array.from({ length: 8 }, () => writer.call(writer.session(), '/etcdserverpb.KV/Put', request(written++))),
    );
    while (events < (written - 64) * watchers) await new Promise((resolve) => setImmediate(resolve));
  }
  while (events < written * watchers) await new Promise((resolve) => setImmediate(resolve));
  const rate = (events / (performance.now() - started)) * 1000;
  writer.close();
  load.close();
  return rate;
}

function residentMegabytes(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

async function measure(cluster: Cluster): Promise<Map<string, number>> {
  const address = await leaderOf(cluster);
  const results = new Map<string, number>();
  const load = new GrpcLoad(address, connections);
  const rate = async (name: string, path: string, request: (index: number) => Uint8Array) => {
    results.set(name, await load.rate(clients, duration, path, request));
  };
  // A server that has just started compiles what it runs first: that is not what is measured.
  await load.rate(clients, duration / 2, '/etcdserverpb.KV/Put', put);
  await rate('put /s', '/etcdserverpb.KV/Put', put);
  await rate('linearizable get /s', '/etcdserverpb.KV/Range', (index) => rangeOf(`/bench/${index % 1000}`));
  await rate('serializable get /s', '/etcdserverpb.KV/Range', (index) =>
    rangeOf(`/bench/${index % 1000}`, { serializable: true }),
  );
  await rate('create in a txn /s', '/etcdserverpb.KV/Txn', createTxn);
  await rate('lease grant /s', '/etcdserverpb.Lease/LeaseGrant', () =>
    LeaseGrantRequest.encode({ TTL: 600n, ID: 0n }).finish(),
  );
  await rate('range of 1,000 /s', '/etcdserverpb.KV/Range', () =>
    rangeOf('/bench/', { rangeEnd: Buffer.from('/bench0'), limit: 1000n }),
  );
  load.close();
  results.set('watch events /s, 100 watchers', await fanOut(address, 100));
  results.set('resident MiB', residentMegabytes(cluster.processes[cluster.addresses.indexOf(address)]!));
  return results;
}

async function stop(cluster: Cluster): Promise<void> {
  await Promise.all(
    cluster.processes.map(async (child) => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }),
  );
}

try {
  for (const size of [1, 3]) {
    const etcd = await startEtcd(size);
    const theirs = await measure(etcd);
    await stop(etcd);
    const balsa = await startBalsa(size);
    const ours = await measure(balsa);
    await stop(balsa);
    console.log(`\n${size} member${size === 1 ? '' : 's'}, ${clients} clients over ${connections} connections`);
    console.log(`${''.padEnd(32)}${'balsa'.padStart(10)}${'etcd 3.4'.padStart(10)}${'ratio'.padStart(8)}`);
    for (const [name, rate] of ours) {
      const other = theirs.get(name) ?? 0;
      const cells = [rate, other].map((each) => each.toFixed(0).padStart(10)).join('');
      console.log(`${name.padEnd(32)}${cells}${(rate / other).toFixed(2).padStart(8)}`);
    }
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
