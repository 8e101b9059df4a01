import fc from 'fast-check';
import t from 'tap';
import { countKeysInText, duplicateKeys } from './duplicate-keys.ts';

t.test('duplicates are found wherever they are', async (t) => {
  t.same(duplicateKeys('{"a":1,"b":{"c":1,"c":2},"a":3}'), ['b.c', 'a']);
  t.same(duplicateKeys('{"list":[{"x":1},{"x":1,"x":"{\\"x\\":1,"}]}'), ['list[1].x']);
  t.same(duplicateKeys('{"\\u0061":1,"a":2}'), ['a']);
  t.same(duplicateKeys('[1,"a:b",{"a":{}}]'), []);
});

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, item) => sum + keysOf(item), own);
}

t.test('a text without duplicates has as many keys as its value, and no duplicates are found', async (t) => {
  fc.assert(
    fc.property(fc.json(), fc.boolean(), (text, indent) => {
      // Through a value, so that duplicates in the text are gone.
      const clean = JSON.stringify(JSON.parse(text), null, indent ? 2 : undefined);
      return countKeysInText(clean) === keysOf(JSON.parse(clean)) && duplicateKeys(clean).length === 0;
    }),
  );
  t.pass();
});
