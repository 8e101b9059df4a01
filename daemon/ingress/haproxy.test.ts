import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import t from 'tap';
import { Haproxy } from './haproxy.ts';
import type { Routing } from './routing.ts';

const routing: Routing = {
  hosts: new Set(['x']),
  exact: new Map(),
  prefix: new Map([['x/', 'a_b_80']]),
  defaultBackend: undefined,
  backends: new Map([['a_b_80', []]]),
  certificates: [],
  problems: [],
};

t.test('a host without haproxy is warned of once, and nothing fails', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'balsa-haproxy-'));
  t.teardown(() => rmSync(dataDir, { recursive: true }));
  const lines: string[] = [];
  const haproxy = new Haproxy({
    dataDir,
    runDir: dataDir,
    httpPort: 80,
    httpsPort: 0,
    metricsPort: 0,
    defaultCertificate: '',
    binary: join(dataDir, 'no-such-program'),
    onLost: () => t.fail('nothing ran'),
    logger: pino({ level: 'warn' }, { write: (line: string) => lines.push(line) }),
  });
  await haproxy.apply(routing);
  await haproxy.apply(routing);
  t.equal(haproxy.running, false);
  t.equal(lines.length, 1);
  t.match(lines[0], 'haproxy is not installed');
  t.same(readdirSync(join(dataDir, 'ingress')), [], 'no configuration is left');
  await haproxy.stop();
});
