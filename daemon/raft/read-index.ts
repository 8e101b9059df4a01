import type { Message } from './message.ts';

/** Everything up to `index` must be applied before the read `context` asks for is answered. */
export interface ReadState {
  readonly index: number;
  readonly context: string;
}

interface PendingRead {
  readonly request: Message;
  readonly index: number;
  readonly acknowledged: Set<number>;
}

/** Reads that wait for a quorum to confirm that the leader which took them still leads. */
export class ReadIndexQueue {
  readonly #pending = new Map<string, PendingRead>();
  /** Contexts in the order they were asked for: confirming one confirms those before it. */
  #order: string[] = [];

  add(index: number, request: Message): void {
    if (this.#pending.has(request.context)) return;
    this.#pending.set(request.context, { request, index, acknowledged: new Set() });
    this.#order.push(request.context);
  }

  /** Who has confirmed this read so far, with `from`; empty when it is not pending. */
  acknowledge(from: number, context: string): ReadonlySet<number> {
    const read = this.#pending.get(context);
    if (read === undefined) return new Set();
    read.acknowledged.add(from);
    return read.acknowledged;
  }

  /** Takes out this read and all before it. */
  advance(context: string): readonly { readonly request: Message; readonly index: number }[] {
    const position = this.#order.indexOf(context);
    if (position < 0) return [];
    const confirmed = this.#order.slice(0, position + 1).map((each) => this.#pending.get(each)!);
    for (const each of this.#order.slice(0, position + 1)) this.#pending.delete(each);
    this.#order = this.#order.slice(position + 1);
    return confirmed;
  }

  /** The youngest pending read, which heartbeats carry so that a lost confirmation is asked for again. */
  last(): string {
    return this.#order.at(-1) ?? '';
  }
}
