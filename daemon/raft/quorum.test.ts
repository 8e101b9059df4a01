import fc from 'fast-check';
import t from 'tap';
import { jointCommitted, jointVote, majorityCommitted, majorityVote } from './quorum.ts';

const members = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 });
const indexes = fc.array(fc.nat(20), { minLength: 10, maxLength: 10 });

t.test('what a majority has committed is acknowledged by a majority, and nothing higher is', async (t) => {
  fc.assert(
    fc.property(
      members.filter((ids) => ids.length > 0),
      indexes,
      (ids, acknowledged) => {
        const committed = majorityCommitted(new Set(ids), (id) => acknowledged[id]!);
        const holding = (index: number) => ids.filter((id) => acknowledged[id]! >= index).length;
        return holding(committed) > ids.length / 2 && holding(committed + 1) <= ids.length / 2;
      },
    ),
  );
  t.pass('holds');
});

t.test('a vote is won or lost exactly when the missing answers cannot change it', async (t) => {
  const answers = fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(
      members.filter((ids) => ids.length > 0),
      answers,
      (ids, votes) => {
        const count = (answer: boolean | undefined) => ids.filter((id) => votes[id] === answer).length;
        const result = majorityVote(new Set(ids), (id) => votes[id]);
        if (count(true) > ids.length / 2) return result === 'won';
        if (count(true) + count(undefined) <= ids.length / 2) return result === 'lost';
        return result === 'pending';
      },
    ),
  );
  t.pass('holds');
});

t.test('a joint decision is what both majorities agree on', async (t) => {
  fc.assert(
    fc.property(members, members, indexes, (incoming, outgoing, acknowledged) => {
      const voters = { incoming: new Set(incoming), outgoing: new Set(outgoing) };
      const of = (ids: number[]) => majorityCommitted(new Set(ids), (id) => acknowledged[id]!);
      return jointCommitted(voters, (id) => acknowledged[id]!) === Math.min(of(incoming), of(outgoing));
    }),
  );
  const vote = (yes: number[]) => (id: number) => yes.includes(id);
  const voters = { incoming: new Set([1, 2, 3]), outgoing: new Set([3, 4, 5]) };
  t.equal(jointVote(voters, vote([1, 2, 3])), 'lost', 'the outgoing majority has said no');
  t.equal(jointVote(voters, vote([1, 3, 4])), 'won');
  t.equal(
    jointVote(voters, (id) => (id <= 3 ? true : undefined)),
    'pending',
  );
});
