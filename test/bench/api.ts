import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startTestingServer } from '../../daemon/api/testing-server.ts';
import { configmaps, namespaces } from '../../daemon/apimachinery/types/resources.ts';
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';
import { MemoryStore } from '../../daemon/store/memory.ts';
import type { LoadResult, LoadTask } from './load-api.ts';

/**
 * Requests per second of the API server at 32 clients, over each protocol, with the load generator in another process on
 * the same machine. `BALSA_BENCH_STORE=memory` leaves the store out of the picture; `BALSA_BENCH_SECONDS` per row;
 * `BALSA_BENCH_ONLY=get` for rows whose name begins so.
 */
const seconds = Number(process.env['BALSA_BENCH_SECONDS'] ?? 4);
const only = process.env['BALSA_BENCH_ONLY'] ?? '';
const clients = 32;
const inMemory = process.env['BALSA_BENCH_STORE'] === 'memory';

const directory = mkdtempSync(join(tmpdir(), 'balsa-bench-'));
const embedded = inMemory
  ? undefined
  : await startEmbeddedStore({ dataDir: directory, nodeName: 'bench', logger: createLogger('store', 'error') });
const server = await startTestingServer({ store: embedded?.store ?? new MemoryStore() });
const { port } = new URL(server.api.url);
const base = { host: '127.0.0.1', port: Number(port), ca: server.ca, ...server.admin, clients, seconds };
const client = server.api.clientFor({ name: 'bench', groups: ['system:masters'] });

for (const name of ['bench', 'lists', 'watched', 'created']) {
  await client.create(namespaces, { metadata: { name }, spec: {} });
}
const kibibyte = { data: 'x'.repeat(700) };
const configMap = (namespace: string, name: string) => ({ metadata: { namespace, name }, data: kibibyte });
for (let i = 0; i < 3000; i++) await client.create(configmaps, configMap('lists', `item-${i}`));
for (let i = 0; i < 32; i++) await client.create(configmaps, configMap('bench', `object-${i}`));

const generator: ChildProcess = fork(fileURLToPath(new URL('./load-api.ts', import.meta.url)), {
  execArgv: ['--import=tsx'],
});

function run(task: LoadTask, onReady?: () => void): Promise<LoadResult> {
  return new Promise((resolve) => {
    const onMessage = (message: LoadResult | { ready: true }): void => {
      if ('ready' in message) {
        onReady?.();
        return;
      }
      generator.off('message', onMessage);
      resolve(message);
    };
    generator.on('message', onMessage);
    generator.send(task);
  });
}

/** Processor time of this process, all threads: what a request costs however busy the machine is. */
let cpuBefore = process.cpuUsage();

function print(
  name: string,
  goal: string,
  result: LoadResult,
  perSecond = result.count / result.seconds,
  count = result.count,
): void {
  const { user, system } = process.cpuUsage(cpuBefore);
  const cells = [
    name.padEnd(34),
    Math.round(perSecond).toLocaleString('en').padStart(9),
    goal.padStart(9),
    result.p50.toFixed(2).padStart(9),
    result.p99.toFixed(2).padStart(9),
    ((user + system) / count).toFixed(1).padStart(9),
    String(result.errors).padStart(7),
  ];
  console.log(cells.join(' '));
}

console.log(`${clients} clients, ${seconds} s each, ${inMemory ? 'store in memory' : 'embedded store'}`);
console.log(
  `${'request'.padEnd(34)}${'per s'.padStart(10)}${'goal'.padStart(10)}${'p50 ms'.padStart(10)}${'p99 ms'.padStart(10)}${'cpu us'.padStart(10)}${'errors'.padStart(8)}`,
);

const one = '/api/v1/namespaces/bench/configmaps';
const created = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{t}-{n}' }, data: kibibyte });
/** So many that a run does not come to their end. */
const deletable = 40_000;
const rows: readonly {
  name: string;
  goal: string;
  task: Omit<LoadTask, keyof typeof base>;
  prepare?: () => Promise<void>;
}[] = [
  { name: 'get HTTP/1.1', goal: '15,000', task: { protocol: 'http/1.1', method: 'GET', path: `${one}/object-0` } },
  { name: 'get HTTP/2', goal: '9,000', task: { protocol: 'h2', method: 'GET', path: `${one}/object-0` } },
  {
    name: 'create HTTP/1.1',
    goal: '5,000',
    task: {
      protocol: 'http/1.1',
      method: 'POST',
      path: '/api/v1/namespaces/created/configmaps',
      body: created.replace('{t}', 'a'),
    },
  },
  {
    name: 'create HTTP/2',
    goal: '',
    task: {
      protocol: 'h2',
      method: 'POST',
      path: '/api/v1/namespaces/created/configmaps',
      body: created.replace('{t}', 'b'),
    },
  },
  {
    name: 'patch (merge) HTTP/1.1',
    goal: '5,000',
    task: {
      protocol: 'http/1.1',
      method: 'PATCH',
      path: '/api/v1/namespaces/lists/configmaps/item-{n}',
      body: '{"metadata":{"labels":{"n":"{n}"}}}',
      contentType: 'application/merge-patch+json',
      wrap: 3000,
    },
  },
  {
    name: 'delete HTTP/1.1',
    goal: '',
    task: {
      protocol: 'http/1.1',
      method: 'DELETE',
      path: '/api/v1/namespaces/deleted/configmaps/item-{n}',
      wrap: deletable,
    },
    prepare: () => fill('deleted', deletable),
  },
  {
    name: 'list 3,000 x 1 KiB HTTP/1.1',
    goal: '150',
    task: { protocol: 'http/1.1', method: 'GET', path: '/api/v1/namespaces/lists/configmaps' },
  },
  {
    name: 'list 3,000 x 1 KiB HTTP/2',
    goal: '',
    task: { protocol: 'h2', method: 'GET', path: '/api/v1/namespaces/lists/configmaps' },
  },
];

async function fill(namespace: string, count: number): Promise<void> {
  await client.create(namespaces, { metadata: { name: namespace }, spec: {} });
  const workers = Array.from({ length: clients }, async (_, worker) => {
    for (let i = worker; i < count; i += clients) await client.create(configmaps, configMap(namespace, `item-${i}`));
  });
  await Promise.all(workers);
}

for (const { name, goal, task, prepare } of rows) {
  if (!name.startsWith(only)) continue;
  await prepare?.();
  cpuBefore = process.cpuUsage();
  print(name, goal, await run({ ...base, ...task }));
}

if ('watch'.startsWith(only) || only.startsWith('watch')) {
  const watchers = 100;
  const changes = 3000;
  let began = 0;
  const result = await run(
    {
      ...base,
      clients: watchers,
      protocol: 'http/1.1',
      method: 'GET',
      path: '/api/v1/namespaces/watched/configmaps?watch=1&resourceVersion=0',
      frames: watchers * changes,
    },
    () => {
      began = performance.now();
      cpuBefore = process.cpuUsage();
      void (async () => {
        const workers = Array.from({ length: clients }, async (_, worker) => {
          for (let i = worker; i < changes; i += clients) {
            await client.create(configmaps, configMap('watched', `seen-${i}`));
          }
        });
        await Promise.all(workers);
      })();
    },
  );
  const elapsed = (performance.now() - began) / 1000;
  print(`watch, ${watchers} watchers, events`, '55,000', result, (watchers * changes) / elapsed, watchers * changes);
}

const { rss, heapUsed } = process.memoryUsage();
console.log(`server process: ${Math.round(rss / 2 ** 20)} MiB resident, ${Math.round(heapUsed / 2 ** 20)} MiB heap`);
generator.kill();
await server.stop();
await embedded?.stop();
rmSync(directory, { recursive: true });
process.exit(0);
