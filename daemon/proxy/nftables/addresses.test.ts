import t from 'tap';
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
