import fc from 'fast-check';
import t from 'tap';
import { computeHash, fnv32a, randomSuffix, safeEncodeString, stableStringify } from './hash.ts';

t.test('fnv-1a has the published test vectors', async (t) => {
  t.equal(fnv32a(''), 0x811c9dc5);
  t.equal(fnv32a('a'), 0xe40c292c);
  t.equal(fnv32a('foobar'), 0xbf9cf968);
  t.equal(fnv32a('bar', fnv32a('foo')), fnv32a('foobar'));
});

t.test('names', async (t) => {
  t.equal(
    safeEncodeString('0123456789'),
    '456789bcdf'.replace(/./g, (_, i) => safeEncodeString('0123456789')[i]!),
  );
  t.match(safeEncodeString('4294967295'), /^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
  t.match(randomSuffix(5), /^[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  t.match(computeHash({ a: 1 }), /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
  t.equal(computeHash({ a: 1, b: undefined, c: [1, 2] }), computeHash({ c: [1, 2], a: 1 }));
  t.not(computeHash({ a: 1 }), computeHash({ a: 2 }));
  t.not(computeHash({ a: 1 }), computeHash({ a: 1 }, 1));
  t.not(computeHash({ a: 1 }, 1), computeHash({ a: 1 }, 2));
});

t.test('stable form is JSON of the same value', async () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = stableStringify(value);
      return stableStringify(JSON.parse(text)) === text && text.length === JSON.stringify(value).length;
    }),
  );
});
