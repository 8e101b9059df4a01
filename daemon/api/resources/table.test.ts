import t from 'tap';
import { apiFacts } from '../codec/schema.ts';
import { resourceRows } from './table.ts';

/** Groups whose versions beside the stable one are off unless asked for. */
const stable = /^v\d+$/;

t.test('every stable kind that can be stored has a row, once', (t) => {
  const served = resourceRows.map(({ handle }) => `${handle.group}/${handle.version}/${handle.resource}`);
  t.equal(new Set(served).size, served.length);
  const storable = Object.entries(apiFacts.resources)
    .filter(([path, facts]) => stable.test(path.split('/')[1]!) && facts.verbs.includes('update'))
    .map(([path]) => path);
  t.same([...served].sort(), storable.sort());
  t.end();
});

t.test('kinds that share a storage say how they are stored', (t) => {
  const names = resourceRows.flatMap((row) => (row.stored === undefined ? [row.storage] : []));
  t.equal(new Set(names).size, names.length);
  t.end();
});
