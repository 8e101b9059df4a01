/** One operation of one client on one register, as the client saw it. */
export interface Operation {
  readonly kind: 'read' | 'write' | 'swap';
  readonly key: string;
  readonly invoked: number;
  /** When the answer came; undefined: never, so that it may have taken effect at any time since, or not at all. */
  completed: number | undefined;
  readonly value: number;
  readonly expected: number;
  /** What a read saw; whether a swap took effect. */
  result: number | boolean | undefined;
}

/** The register after the operation, or undefined when it could not have given that answer on this value. */
function take(operation: Operation, value: number): number | undefined {
  if (operation.kind === 'write') return operation.value;
  if (operation.kind === 'read') return operation.result === value ? value : undefined;
  const matches = operation.expected === value;
  if (operation.completed !== undefined && operation.result !== matches) return undefined;
  return matches ? operation.value : value;
}

/**
 * Whether the operations on one register could have happened one at a time, each at a moment between its invocation and its
 * answer. Searches the orders that respect time, remembering what it has tried (Wing and Gong's search with Lowe's cache).
 */
function registerIsLinearizable(history: readonly Operation[]): boolean {
  // A read that was never answered tells nothing.
  const operations = history
    .filter((each) => each.completed !== undefined || each.kind !== 'read')
    .sort((a, b) => a.invoked - b.invoked);
  const count = operations.length;
  const completed = operations.map((each) => each.completed ?? Number.POSITIVE_INFINITY);
  const tried = new Set<string>();
  const done = new Uint8Array(count);

  const search = (value: number, required: number): boolean => {
    if (required === 0) return true;
    const state = `${value}:${Buffer.from(done).toString('latin1')}`;
    if (tried.has(state)) return false;
    tried.add(state);
    // Whatever is next was invoked before the first of the remaining answers.
    let horizon = Number.POSITIVE_INFINITY;
    for (let index = 0; index < count; index++) if (done[index] === 0) horizon = Math.min(horizon, completed[index]!);
    for (let index = 0; index < count; index++) {
      if (done[index] !== 0) continue;
      const operation = operations[index]!;
      if (operation.invoked > horizon) break;
      const after = take(operation, value);
      if (after === undefined) continue;
      done[index] = 1;
      if (search(after, required - (operation.completed === undefined ? 0 : 1))) return true;
      done[index] = 0;
    }
    return false;
  };
  return search(0, operations.filter((each) => each.completed !== undefined).length);
}

/** The register whose history no order explains; undefined when all are linearizable. Registers are independent. */
export function findNonLinearizable(history: readonly Operation[]): string | undefined {
  const byKey = new Map<string, Operation[]>();
  for (const operation of history) {
    const operations = byKey.get(operation.key);
    if (operations === undefined) byKey.set(operation.key, [operation]);
    else operations.push(operation);
  }
  for (const [key, operations] of byKey) if (!registerIsLinearizable(operations)) return key;
  return undefined;
}
