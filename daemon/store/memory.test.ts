import t from 'tap';
import { MemoryStore } from './memory.ts';
import { storeContract } from './store-contract.ts';

await storeContract(t, async () => {
  const store = new MemoryStore();
  return { store, stop: () => store.stop() };
});
