import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../log/logger.ts';
import type { RunningStore } from '../../store/embedded.ts';

const everyMs = 250;
const sayEveryMs = 10_000;

/**
 * Resolves once this member votes. A learner asks to be made a voter until the leader finds that it has caught up: how long
 * that takes depends on how much there is to copy, so there is no limit.
 */
export async function becomeVoter(running: RunningStore, logger: Logger): Promise<void> {
  const { store, membership, memberId } = running;
  let said = performance.now();
  const say = (why: string): void => {
    if (performance.now() - said < sayEveryMs) return;
    said = performance.now();
    logger.info({ why }, 'not yet a voter of the store');
  };
  for (;;) {
    const own = (await store.members()).find((member) => member.id === memberId);
    if (own !== undefined && !own.isLearner) return;
    try {
      if (own === undefined) say('no word from the other members: are they up, and was this one not removed?');
      else await membership.promote(memberId);
    } catch (error) {
      say((error as Error).message);
    }
    await delay(everyMs);
  }
}
