import t from 'tap';
import { parseResolvers } from './host-resolvers.ts';
import { addressOfReverseName } from './reverse-name.ts';

t.test('resolv.conf: name servers, without our own addresses and what is no address', async (t) => {
  const text = [
    '# comment',
    'search example.com',
    'nameserver 192.0.2.1',
    '  nameserver 2001:db8::53 # inline',
    'nameserver 10.96.0.10',
    'nameserver nonsense',
    'options ndots:5',
  ].join('\n');
  t.same(parseResolvers(text, ['10.96.0.10']), ['192.0.2.1', '2001:db8::53']);
  t.same(parseResolvers('', []), []);
});

t.test('reverse names', async (t) => {
  t.equal(addressOfReverseName('4.3.2.1.in-addr.arpa'), '1.2.3.4');
  t.equal(addressOfReverseName('256.3.2.1.in-addr.arpa'), undefined);
  t.equal(addressOfReverseName('3.2.1.in-addr.arpa'), undefined);
  const loopback = `1${'.0'.repeat(31)}.ip6.arpa`;
  t.equal(addressOfReverseName(loopback), '::1');
});
