/** The state machine has reached a state the algorithm excludes: the node must stop rather than go on from it. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

export function invariant(condition: boolean, rule: string, facts: Readonly<Record<string, unknown>> = {}): void {
  if (!condition) throw new InvariantViolation(`${rule} ${JSON.stringify(facts)}`);
}
