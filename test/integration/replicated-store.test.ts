import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createLogger } from '../../daemon/log/logger.ts';
import { type EmbeddedStoreOptions, type RunningStore, startEmbeddedStore } from '../../daemon/store/embedded.ts';
import type { EmbeddedStore } from '../../daemon/store/embedded-store.ts';
import { storeContract } from '../../daemon/store/store-contract.ts';

// Members of one cluster over gRPC on loopback: each with its own thread, disk and listener.

const logger = createLogger('test', process.env['BALSA_LOG_LEVEL'] ?? 'fatal');
t.setTimeout(240_000);
const everything = { key: Buffer.of(0), rangeEnd: Buffer.of(0) } as const;

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

interface TestMember {
  readonly name: string;
  readonly options: EmbeddedStoreOptions;
  running: RunningStore | undefined;
}

class TestCluster {
  readonly directory = mkdtempSync(join(tmpdir(), 'balsa-replicated-'));
  readonly members: TestMember[] = [];

  static async start(size: number): Promise<TestCluster> {
    const cluster = new TestCluster();
    const ports = await freePorts(size);
    const initialMembers = ports.map((port, index) => ({
      name: `m${index}`,
      peerUrls: [`http://127.0.0.1:${port}`],
    }));
    for (const [index, port] of ports.entries()) {
      cluster.members.push({
        name: `m${index}`,
        options: cluster.#options(`m${index}`, port, { initialMembers }),
        running: undefined,
      });
    }
    await Promise.all(cluster.members.map((member) => cluster.startMember(member)));
    await cluster.leader();
    return cluster;
  }

  #options(name: string, port: number, more: Partial<EmbeddedStoreOptions>): EmbeddedStoreOptions {
    return {
      dataDir: join(this.directory, name),
      nodeName: name,
      clusterToken: this.directory,
      peerListen: { host: '127.0.0.1', port },
      peerUrls: [`http://127.0.0.1:${port}`],
      heartbeatInterval: 20,
      electionTimeout: 200,
      autoCompaction: 0,
      logger,
      ...more,
    };
  }

  async startMember(member: TestMember): Promise<void> {
    member.running = await startEmbeddedStore(member.options);
  }

  async stopMember(member: TestMember): Promise<void> {
    await member.running?.stop();
    member.running = undefined;
  }

  /** Adds a member, as a learner or at once as a voter, and starts it. */
  async join(name: string, isLearner: boolean): Promise<TestMember> {
    const [port] = await freePorts(1);
    const leader = await this.leader();
    const added = await leader.membership.add([`http://127.0.0.1:${port}`], isLearner);
    const members = (await leader.members()).map(({ id, name: each, peerUrls }) => ({
      id: Number(id),
      name: each,
      peerUrls,
    }));
    const join = { memberId: Number(added.id), clusterId: leader.clusterId, members };
    const member = { name, options: this.#options(name, port!, { join }), running: undefined };
    this.members.push(member);
    await this.startMember(member);
    return member;
  }

  running(): EmbeddedStore[] {
    return this.members.flatMap(({ running }) => (running === undefined ? [] : [running.store as EmbeddedStore]));
  }

  async leader(): Promise<EmbeddedStore> {
    return eventually(() => this.running().find((store) => store.isLeader()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => this.stopMember(member)));
    rmSync(this.directory, { recursive: true });
  }
}

/** Waits until it is so; the test's own time limit is the limit. */
async function eventually<T>(condition: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Tries again while the cluster has no leader to do it. */
async function retried<T>(attempt: () => Promise<T>): Promise<T> {
  return eventually(async () => {
    try {
      return { value: await attempt() };
    } catch {
      return undefined;
    }
  }).then(({ value }) => value);
}

async function sameEverywhere(stores: readonly EmbeddedStore[]): Promise<number> {
  const newest = Math.max(...stores.map((store) => store.native.state().revision));
  await eventually(() => stores.every((store) => store.native.state().revision >= newest));
  const hashes = await Promise.all(stores.map(async (store) => (await store.native.hashKv(newest)).hash));
  return new Set(hashes).size;
}

t.test('three members keep the contract of one', async (t) => {
  const cluster = await TestCluster.start(3);
  t.teardown(() => cluster.stop());
  await storeContract(t, async () => {
    const store = await cluster.leader();
    for (const lease of await store.leases()) await store.leaseRevoke(lease);
    await store.deleteRange(everything);
    return { store, stop: async () => {} };
  });
});

t.test('any member takes writes and reads, and all end up the same', async (t) => {
  const cluster = await TestCluster.start(3);
  t.teardown(() => cluster.stop());
  const stores = cluster.running();
  await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      stores[index % 3]!.put({ key: Buffer.from(`k${index}`), value: Buffer.from(`${index}`) }),
    ),
  );
  for (const store of stores) t.equal((await store.range({ ...everything, countOnly: true })).count, 300);
  t.equal(await sameEverywhere(stores), 1);
  const follower = stores.find((store) => !store.isLeader())!;
  const { id } = await follower.leaseGrant(60);
  t.equal((await follower.leaseKeepAlive(id)).ttl, 60, 'renewed at the leader');
  const { ttl } = await follower.leaseTimeToLive(id, false);
  t.ok(ttl > 50 && ttl <= 60, 'the leader’s time');
  t.equal((await retried(async () => follower.members())).length, 3);
  await eventually(async () => (await follower.members()).every((member) => member.name !== ''));
});

t.test('nothing acknowledged is lost when leaders fail, one after the other', async (t) => {
  const cluster = await TestCluster.start(3);
  t.teardown(() => cluster.stop());
  const acknowledged = new Set<string>();
  let writing = true;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let count = 0; writing; count++) {
      const name = `${writer}/${count}`;
      const stores = cluster.running();
      const store = stores[count % stores.length]!;
      try {
        await store.put({ key: Buffer.from(name), value: Buffer.from(name) });
        acknowledged.add(name);
      } catch {
        // Whether it was done is not known: it may be there or not.
      }
    }
  });
  for (let round = 0; round < 4; round++) {
    const before = acknowledged.size;
    await eventually(() => acknowledged.size > before + 200);
    const leader = await cluster.leader();
    const failing = cluster.members.find(({ running }) => running?.store === leader)!;
    await cluster.stopMember(failing);
    await cluster.leader();
    await cluster.startMember(failing);
  }
  writing = false;
  await Promise.all(writers);
  const { kvs } = await retried(async () => (await cluster.leader()).range(everything));
  const found = new Set(kvs.map((kv) => kv.key.toString()));
  const lost = [...acknowledged].filter((name) => !found.has(name));
  t.same(lost, [], `${acknowledged.size} acknowledged`);
  t.equal(await sameEverywhere(cluster.running()), 1);
});

t.test('members come and go', async (t) => {
  const cluster = await TestCluster.start(1);
  t.teardown(() => cluster.stop());
  const first = await cluster.leader();
  const value = Buffer.alloc(1000, 'x');
  const put = (store: EmbeddedStore, from: number, count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) => store.put({ key: Buffer.from(`k${from + index}`), value })),
    );
  // More than the log keeps: whoever joins needs a snapshot.
  for (let round = 0; round < 21; round++) await put(first, round * 1000, 1000);

  const learner = await cluster.join('learner', true);
  const learnerStore = learner.running!.store as EmbeddedStore;
  await eventually(() => learnerStore.native.state().revision === first.native.state().revision);
  t.ok(learnerStore.native.logState().compactedIndex > 0, 'it came by snapshot');
  await eventually(async () => (await learnerStore.status()).isLearner);
  await eventually(async () => (await first.members()).some((member) => member.name === 'learner'));
  await put(first, 30_000, 100);
  await retried(() => learnerStore.membership.promote(learnerStore.memberId));
  await eventually(async () => (await first.members()).every((member) => !member.isLearner));
  t.equal((await first.status()).errors.length, 0);

  const third = await cluster.join('third', false);
  const thirdStore = third.running!.store as EmbeddedStore;
  await retried(() => thirdStore.put({ key: Buffer.from('from the third'), value }));
  t.equal(await sameEverywhere(cluster.running()), 1);

  // The leader itself goes.
  await eventually(async () => (await first.members()).every((member) => member.name !== ''));
  const leader = await cluster.leader();
  await leader.membership.remove(leader.memberId);
  const rest = cluster.running().filter((store) => store !== leader);
  const next = await eventually(() => rest.find((store) => store.isLeader()));
  await retried(() => next.put({ key: Buffer.from('after'), value }));
  t.equal((await next.members()).length, 2);
  t.equal(await sameEverywhere(rest), 1);
  await next.moveLeader(Number(rest.find((store) => store !== next)!.memberId));
  await eventually(() => rest.find((store) => store !== next && store.isLeader()));
  t.pass('leadership was handed over');
});
