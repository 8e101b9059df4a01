/** Outcome of a batch of calls: how many succeeded, and the first error of those that did not. */
export interface BatchOutcome {
  readonly successes: number;
  readonly error: unknown;
}

/**
 * Makes `count` calls in batches of 1, 2, 4, ... so that a fault that would hit every call (a quota, a webhook) is met once
 * and not `count` times. Stops after the first batch with a failure.
 */
export async function slowStart(count: number, call: (index: number) => Promise<void>): Promise<BatchOutcome> {
  let successes = 0;
  for (let batch = 1; successes < count; batch *= 2) {
    const size = Math.min(batch, count - successes);
    const outcomes = await Promise.allSettled(Array.from({ length: size }, (_, offset) => call(successes + offset)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    successes += outcomes.filter((outcome) => outcome.status === 'fulfilled').length;
    if (failed !== undefined) return { successes, error: failed.reason };
  }
  return { successes, error: undefined };
}
