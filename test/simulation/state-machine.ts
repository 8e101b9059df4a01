/** One command of the replicated registers. */
export interface Command {
  /** Unique in a run: who waits for it knows it by this. */
  readonly operation: number;
  readonly key: string;
  readonly kind: 'write' | 'swap';
  readonly value: number;
  /** Of a swap: the value the key must have. */
  readonly expected: number;
}

/** Registers by name: what the cluster replicates in the simulation. */
export class StateMachine {
  readonly registers: Map<string, number>;

  constructor(registers: Iterable<readonly [string, number]> = []) {
    this.registers = new Map(registers);
  }

  /** Whether the command took effect (a swap may not). */
  apply(command: Command): boolean {
    if (command.kind === 'swap' && this.read(command.key) !== command.expected) return false;
    this.registers.set(command.key, command.value);
    return true;
  }

  read(key: string): number {
    return this.registers.get(key) ?? 0;
  }

  encode(): Uint8Array {
    return Buffer.from(JSON.stringify([...this.registers]));
  }

  static decode(data: Uint8Array): StateMachine {
    return new StateMachine(JSON.parse(Buffer.from(data).toString()) as [string, number][]);
  }

  clone(): StateMachine {
    return new StateMachine(this.registers);
  }
}

export function encodeCommand(command: Command): Uint8Array {
  return Buffer.from(JSON.stringify(command));
}

export function decodeCommand(data: Uint8Array): Command {
  return JSON.parse(Buffer.from(data).toString()) as Command;
}
