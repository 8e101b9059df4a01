import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createLogger } from '../../daemon/log/logger.ts';
import { ExternalStore } from '../../daemon/store/external.ts';

// Three members as processes: killed with -9, stopped and continued, a majority at once; clients come over etcd's API.

t.setTimeout(180_000);
const logger = createLogger('test', 'fatal');
const directory = mkdtempSync(join(tmpdir(), 'balsa-members-'));
const program = fileURLToPath(new URL('../bench/load-store-server.ts', import.meta.url));

const servers = Array.from({ length: 6 }, () => createServer().listen(0, '127.0.0.1'));
await Promise.all(servers.map((server) => once(server, 'listening')));
const ports = servers.map((server) => (server.address() as { port: number }).port);
for (const server of servers) server.close();
const clientPorts = ports.slice(0, 3);
const peerPorts = ports.slice(3);

interface Member {
  readonly index: number;
  readonly store: ExternalStore;
  process: ChildProcess;
}

function startProcess(index: number): ChildProcess {
  const args = [
    join(directory, `m${index}`),
    String(clientPorts[index]),
    String(peerPorts[index]),
    peerPorts.join(','),
  ];
  return spawn(process.execPath, ['--import=tsx', program, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

const members: Member[] = [0, 1, 2].map((index) => ({
  index,
  store: new ExternalStore({ endpoints: [`127.0.0.1:${clientPorts[index]}`], timeout: 4000, logger }),
  process: startProcess(index),
}));
t.teardown(async () => {
  for (const member of members) {
    await member.store.stop();
    member.process.kill('SIGKILL');
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
});

async function eventually<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const result = await attempt().catch(() => undefined);
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const leader = () =>
  eventually(async () => {
    for (const member of members) {
      const status = await member.store.status().catch(() => undefined);
      if (status !== undefined && status.leader === status.memberId) return member;
    }
    return undefined;
  });

async function kill(member: Member): Promise<void> {
  member.process.kill('SIGKILL');
  await once(member.process, 'exit');
}

const misfortunes: Record<string, (leading: Member) => Promise<void>> = {
  'the leader is killed': async (leading) => {
    await kill(leading);
    leading.process = startProcess(leading.index);
  },
  'the leader is stopped, and goes on after another was elected': async (leading) => {
    leading.process.kill('SIGSTOP');
    await eventually(async () => {
      const others = members.filter((member) => member !== leading);
      const states = await Promise.all(others.map((member) => member.store.status()));
      return states.some(({ leader: id, memberId }) => id === memberId) ? true : undefined;
    });
    leading.process.kill('SIGCONT');
  },
  'a majority is killed': async (leading) => {
    const other = members.find((member) => member !== leading)!;
    await Promise.all([kill(leading), kill(other)]);
    for (const member of [leading, other]) member.process = startProcess(member.index);
  },
  'all are killed': async () => {
    await Promise.all(members.map(kill));
    for (const member of members) member.process = startProcess(member.index);
  },
};

t.test('nothing acknowledged is lost, and no read is stale', async (t) => {
  await leader();
  let writing = true;
  const acknowledged = new Set<string>();
  /** The highest number whose write is acknowledged; each is written once, in order. */
  let counter = 0;
  let reads = 0;
  let stale = 0;

  const writers = members.map(async ({ store, index }) => {
    for (let count = 0; writing; count++) {
      const name = `${index}/${count}`;
      await store.put({ key: Buffer.from(name), value: Buffer.from(name) }).then(
        () => acknowledged.add(name),
        // Whether it was done is not known.
        () => new Promise((resolve) => setTimeout(resolve, 20)),
      );
    }
  });
  const counting = (async () => {
    for (let next = 1; writing; next++) {
      await eventually(async () => {
        const { store } = members[next % 3]!;
        // An attempt that was given up may still be done later: it must not turn the counter back.
        const key = Buffer.from('counter');
        await store.txn({
          compare: [{ key, result: 'equal', target: { version: next - 1 } }],
          success: [{ put: { key, value: Buffer.from(String(next)) } }],
          failure: [],
        });
        return true;
      });
      counter = next;
    }
  })();
  const readers = members.map(async ({ store }) => {
    while (writing) {
      const before = counter;
      const read = await store.range({ key: Buffer.from('counter') }).catch(() => undefined);
      if (read === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      reads++;
      if (Number(read.kvs[0]?.value ?? 0) < before) stale++;
    }
  });

  for (const [name, misfortune] of Object.entries(misfortunes)) {
    const before = acknowledged.size;
    await eventually(async () => (acknowledged.size > before + 100 ? true : undefined));
    await misfortune(await leader());
    await leader();
    t.pass(name);
  }
  const before = acknowledged.size;
  await eventually(async () => (acknowledged.size > before + 100 ? true : undefined));
  writing = false;
  await Promise.all([...writers, counting, ...readers]);

  for (const { store, index } of members) {
    const { kvs } = await eventually(() => store.range({ key: Buffer.of(0), rangeEnd: Buffer.of(0) }));
    const found = new Set(kvs.map((kv) => kv.key.toString()));
    const lost = [...acknowledged].filter((name) => !found.has(name));
    t.same(lost, [], `member ${index} has all ${acknowledged.size}`);
  }
  t.ok(reads > 100);
  t.equal(stale, 0, `of ${reads} reads`);
});
