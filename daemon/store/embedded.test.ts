import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createLogger } from '../log/logger.ts';
import { startEmbeddedStore } from './embedded.ts';
import { storeContract } from './store-contract.ts';

const logger = createLogger('test', 'warn');

await storeContract(t, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'balsa-store-'));
  const { store, stop } = await startEmbeddedStore({ dataDir, nodeName: 'one', autoCompaction: 0, logger });
  return {
    store,
    stop: async () => {
      await stop();
      rmSync(dataDir, { recursive: true });
    },
  };
});
