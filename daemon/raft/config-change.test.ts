import fc from 'fast-check';
import t from 'tap';
import { ConfigChangeError, ConfigChanger, type ConfigChangeStep, restoreMembership } from './config-change.ts';
import type { ConfigState } from './message.ts';
import { Tracker } from './tracker.ts';

const steps = (text: string): ConfigChangeStep[] =>
  text.split(' ').map((step) => {
    const types = { v: 'addVoter', l: 'addLearner', r: 'remove' } as const;
    return { type: types[step[0] as 'v' | 'l' | 'r'], id: Number(step.slice(1)) };
  });

function trackerOf(voters: number[], learners: number[] = []): Tracker {
  const tracker = new Tracker(8, 1000);
  const config = { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
  const { membership, progress } = restoreMembership(tracker, config, 10);
  tracker.adopt(membership, progress);
  return tracker;
}

function apply(tracker: Tracker, change: 'simple' | 'joint' | 'leave', text = ''): ConfigState {
  const changer = new ConfigChanger(tracker, 10);
  const changed =
    change === 'leave'
      ? changer.leaveJoint()
      : change === 'simple'
        ? changer.simple(steps(text))
        : changer.enterJoint(true, steps(text));
  tracker.adopt(changed.membership, changed.progress);
  return tracker.configState();
}

t.test('simple changes', async (t) => {
  const tracker = trackerOf([1]);
  t.match(apply(tracker, 'simple', 'l2'), { voters: [1], learners: [2] });
  t.equal(tracker.progress.get(2)?.isLearner, true);
  t.match(apply(tracker, 'simple', 'v2'), { voters: [1, 2], learners: [] });
  t.equal(tracker.progress.get(2)?.isLearner, false);
  t.match(apply(tracker, 'simple', 'r1'), { voters: [2] });
  t.throws(() => apply(tracker, 'simple', 'r2'), ConfigChangeError, 'the last voter stays');
  t.throws(() => apply(tracker, 'simple', 'v3 v4'), ConfigChangeError, 'one voter at a time');
  t.match(tracker.configState(), { voters: [2] }, 'nothing changed');
});

t.test('a joint change keeps both majorities until it is left', async (t) => {
  const tracker = trackerOf([1, 2, 3]);
  t.same(apply(tracker, 'joint', 'r1 l2 v4'), {
    voters: [3, 4],
    votersOutgoing: [1, 2, 3],
    learners: [],
    learnersNext: [2],
    autoLeave: true,
  });
  t.ok(tracker.progress.has(1), 'whom the outgoing majority needs is still followed');
  t.throws(() => apply(tracker, 'joint', 'v5'), ConfigChangeError);
  t.throws(() => apply(tracker, 'simple', 'v5'), ConfigChangeError);
  t.same(apply(tracker, 'leave'), {
    voters: [3, 4],
    votersOutgoing: [],
    learners: [2],
    learnersNext: [],
    autoLeave: false,
  });
  t.notOk(tracker.progress.has(1));
  t.throws(() => apply(tracker, 'leave'), ConfigChangeError);
});

t.test('any joint change, once left, is the same as its steps one at a time', async (t) => {
  const step = fc.record({
    type: fc.constantFrom('addVoter' as const, 'addLearner' as const, 'remove' as const),
    id: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (list) => {
      const joint = trackerOf([1, 2, 3], [4]);
      try {
        const changed = new ConfigChanger(joint, 10).enterJoint(true, list);
        joint.adopt(changed.membership, changed.progress);
      } catch (error) {
        return error instanceof ConfigChangeError;
      }
      apply(joint, 'leave');
      // By plain set arithmetic.
      const voters = new Set([1, 2, 3]);
      const learners = new Set([4]);
      for (const { type, id } of list) {
        voters.delete(id);
        learners.delete(id);
        if (type === 'addVoter') voters.add(id);
        if (type === 'addLearner') learners.add(id);
      }
      const config = joint.configState();
      return (
        config.voters.join() === [...voters].sort((a, b) => a - b).join() &&
        config.learners.join() === [...learners].sort((a, b) => a - b).join() &&
        [...joint.progress.keys()].sort((a, b) => a - b).join() ===
          [...voters, ...learners].sort((a, b) => a - b).join()
      );
    }),
  );
  t.pass('holds');
});
