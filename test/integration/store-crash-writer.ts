// Writes to an embedded store as fast as it can and says what was acknowledged, until it is killed (store-crash.test.ts).
import { writeSync } from 'node:fs';
import { createLogger } from '../../daemon/log/logger.ts';
import { startEmbeddedStore } from '../../daemon/store/embedded.ts';

const [dataDir, round] = process.argv.slice(2);
const { store } = await startEmbeddedStore({
  dataDir: dataDir!,
  nodeName: 'one',
  autoCompaction: 0,
  logger: createLogger('crash-writer', 'error'),
});
let next = 0;
const { id: lease } = await store.leaseGrant(3600, BigInt(round!) + 1n);
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (;;) {
      const name = `${round}/${next++}`;
      const { revision } = await store.put({ key: Buffer.from(name), value: Buffer.from(name.repeat(50)), lease });
      // Synchronously, so that nothing said is lost with the process.
      writeSync(1, `${name} ${revision}\n`);
    }
  }),
);
