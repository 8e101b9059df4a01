import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createLogger } from '../../daemon/log/logger.ts';
import { ExternalStore } from '../../daemon/store/external.ts';
import { storeContract } from '../../daemon/store/store-contract.ts';

// One suite, every store: here Debian's etcd 3.4, a fresh one for each test.

const logger = createLogger('test', 'error');

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

await storeContract(t, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'balsa-etcd-'));
  const [client, peer] = await freePorts(2);
  const etcd = spawn(
    'etcd',
    [
      `--data-dir=${dataDir}`,
      `--listen-client-urls=http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
      '--log-level=error',
    ],
    { stdio: 'ignore' },
  );
  const store = new ExternalStore({ endpoints: [`127.0.0.1:${client}`], logger });
  for (let attempt = 0; ; attempt++) {
    try {
      await store.connect();
      await store.range({ key: Buffer.from('x') });
      break;
    } catch (error) {
      if (attempt > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    store,
    stop: async () => {
      await store.stop();
      etcd.kill('SIGKILL');
      await once(etcd, 'exit');
      rmSync(dataDir, { recursive: true });
    },
  };
});
