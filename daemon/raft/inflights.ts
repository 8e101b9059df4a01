import { invariant } from './invariant.ts';

/** The appends sent to one follower and not acknowledged yet: a window bounded in messages and in bytes. */
export class Inflights {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  /** Last index and size of each message, oldest first. */
  #sent: { readonly index: number; readonly bytes: number }[] = [];
  #bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#sent.length;
  }

  full(): boolean {
    return this.#sent.length >= this.#maxMessages || this.#bytes >= this.#maxBytes;
  }

  add(index: number, bytes: number): void {
    invariant(!this.full(), 'an append is sent only while the window has room', { index });
    this.#sent.push({ index, bytes });
    this.#bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: number): void {
    let freed = 0;
    while (freed < this.#sent.length && this.#sent[freed]!.index <= index) this.#bytes -= this.#sent[freed++]!.bytes;
    if (freed > 0) this.#sent.splice(0, freed);
  }

  /** Makes room for one message though none was acknowledged: the follower is alive, so the window may have been lost. */
  freeFirst(): void {
    if (this.#sent.length > 0) this.freeTo(this.#sent[0]!.index);
  }

  reset(): void {
    this.#sent = [];
    this.#bytes = 0;
  }
}
