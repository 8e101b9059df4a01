import fc from 'fast-check';
import t from 'tap';
import { intervalElements } from '../../network/masquerade.ts';
import { addressBytes, parsePrefix, prefixContains } from './addresses.ts';

t.test('addresses to bytes', async (t) => {
  const hex = (address: string) => addressBytes(address).toString('hex');
  t.equal(hex('10.96.0.1'), '0a600001');
  t.equal(hex('::1'), `${'0'.repeat(31)}1`);
  t.equal(hex('fd00:1::2:3'), 'fd000001000000000000000000020003');
  t.equal(hex('::ffff:10.0.0.1'), '00000000000000000000ffff0a000001');
  t.equal(hex('fe80::1%eth0'), 'fe800000000000000000000000000001');
  t.throws(() => addressBytes('nonsense'));
});

t.test('prefixes', async (t) => {
  const range = (text: string) => {
    const prefix = parsePrefix(text);
    return prefix && `${prefix.first.toString('hex')}-${prefix.last.toString('hex')}`;
  };
  t.equal(range('10.1.2.3/8'), '0a000000-0affffff');
  t.equal(range('10.1.2.3/20'), '0a010000-0a010fff');
  t.equal(range('0.0.0.0/0'), '00000000-ffffffff');
  t.equal(range('10.1.2.3'), '0a010203-0a010203');
  for (const wrong of ['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', 'x/8', '10.0.0.0/8x'])
    t.equal(range(wrong), undefined, wrong);
  t.ok(prefixContains(parsePrefix('10.244.0.0/16')!, '10.244.7.9'));
  t.notOk(prefixContains(parsePrefix('10.244.0.0/16')!, '10.245.7.9'));
  t.notOk(prefixContains(parsePrefix('10.244.0.0/16')!, 'fd00::1'));
});

t.test('intervals are sorted, apart and cover what the prefixes cover', async () => {
  const prefix = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, length]) => `${ip}/${length}`);
  fc.assert(
    fc.property(fc.array(prefix, { minLength: 1, maxLength: 12 }), fc.ipV4(), (texts, probe) => {
      const prefixes = texts.map((text) => parsePrefix(text)!);
      const { keys, elementFlags } = intervalElements(prefixes);
      const bounds = Array.from(elementFlags, (flag, index) => ({ flag, at: keys.readUInt32BE(index * 4) }));
      const at = addressBytes(probe).readUInt32BE(0);
      const before = bounds.filter((bound) => bound.at <= at).at(-1);
      const inside = before !== undefined && before.flag === 0;
      const ordered = bounds.every((bound, index) => index === 0 || bounds[index - 1]!.at <= bound.at);
      return ordered && inside === prefixes.some((one) => prefixContains(one, probe));
    }),
    { numRuns: 1000 },
  );
});
