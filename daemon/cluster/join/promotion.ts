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
  for (;;) {
    const own = (await store.members()).find((member) => member.id === memberId);
    if (own !== undefined && !own.isLearner) return;
    try {
      if (own !== undefined) await membership.promote(memberId);
    } catch (error) {
      if (performance.now() - said > sayEveryMs) {
        said = performance.now();
        logger.info({ why: (error as Error).message }, 'not yet a voter of the store');
      }
    }
    await delay(everyMs);
  }
}
