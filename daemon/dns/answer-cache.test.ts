import { type Answer, decode, encode } from 'dns-packet';
import fc from 'fast-check';
import t from 'tap';
import { AnswerCache } from './answer-cache.ts';
import { parseQuery, type Query } from './message.ts';

function query(name: string): Query {
  const parsed = parseQuery(
    Buffer.from(encode({ type: 'query', id: 1, flags: 0x100, questions: [{ name, type: 'A' }] })),
  );
  if (parsed === undefined || 'code' in parsed) throw new Error('not a query');
  return parsed;
}

function answer(name: string, records: { answers?: Answer[]; authorities?: Answer[] }, flags = 0): Buffer {
  return Buffer.from(encode({ type: 'response', id: 1, flags, questions: [{ name, type: 'A' }], ...records }));
}

const a = (name: string, ttl: number): Answer => ({ name, type: 'A', ttl, data: '192.0.2.1' });

t.test('time counts down, and ends', async (t) => {
  let now = 0;
  const cache = new AnswerCache({ capacity: 10, maximumTtl: 30, now: () => now });
  cache.put(query('x.example'), answer('x.example', { answers: [a('x.example', 100), a('x.example', 20)] }));
  now = 5000;
  t.match(decode(cache.get(query('X.example'))!), { answers: [{ ttl: 95 }, { ttl: 15 }] });
  now = 20_000;
  t.equal(cache.get(query('x.example')), undefined);
});

t.test('"there is none" is kept for as long as its SOA says, and not without one', async (t) => {
  let now = 0;
  const cache = new AnswerCache({ capacity: 10, maximumTtl: 30, now: () => now });
  const soa: Answer = {
    name: 'example',
    type: 'SOA',
    ttl: 100,
    data: { mname: 'a', rname: 'b', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 7 },
  };
  cache.put(query('x.example'), answer('x.example', { authorities: [soa] }, 3));
  t.ok(cache.get(query('x.example')));
  now = 7000;
  t.notOk(cache.get(query('x.example')));
  cache.put(query('y.example'), answer('y.example', {}, 3));
  t.notOk(cache.get(query('y.example')));
});

t.test('failures and answers to other questions are not kept; the least used go first', async (t) => {
  const cache = new AnswerCache({ capacity: 2, maximumTtl: 30 });
  cache.put(query('x.example'), answer('x.example', { answers: [a('x.example', 9)] }, 2));
  cache.put(query('x.example'), answer('y.example', { answers: [a('y.example', 9)] }));
  t.equal(cache.size, 0);
  for (const name of ['a.example', 'b.example']) cache.put(query(name), answer(name, { answers: [a(name, 9)] }));
  cache.get(query('a.example'));
  cache.put(query('c.example'), answer('c.example', { answers: [a('c.example', 9)] }));
  t.ok(cache.get(query('a.example')));
  t.notOk(cache.get(query('b.example')));
});

t.test('damaged answers are never read past their end', async () => {
  const cache = new AnswerCache({ capacity: 100, maximumTtl: 30 });
  const base = answer('x.example', { answers: [a('x.example', 9), a('x.example', 9)] });
  const asked = query('x.example');
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255))), fc.nat(base.length), (changes, length) => {
      const message = Buffer.from(base.subarray(0, length));
      for (const [offset, value] of changes) if (offset < message.length) message[offset] = value;
      cache.put(asked, message);
      cache.get(asked);
    }),
    { numRuns: 3000 },
  );
});
