import type { SuccessPolicy } from '../../apimachinery/types/batch-v1.ts';
import { parseIndexes } from './job-indexes.ts';

/** The message of the first rule that the succeeded indexes meet; undefined when none is met. */
export function matchSuccessPolicy(
  policy: SuccessPolicy | undefined,
  completions: number,
  succeeded: ReadonlySet<number>,
): string | undefined {
  for (const [index, { succeededIndexes, succeededCount }] of (policy?.rules ?? []).entries()) {
    let matching = succeeded.size;
    let needed = succeededCount;
    if (succeededIndexes !== undefined) {
      const wanted = parseIndexes(succeededIndexes, completions);
      matching = [...wanted].filter((entry) => succeeded.has(entry)).length;
      needed ??= wanted.size;
    }
    if (needed !== undefined && needed > 0 && matching >= needed) return `Matched rules at index ${index}`;
  }
  return undefined;
}
