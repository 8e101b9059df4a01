import type { Message } from '../../daemon/raft/message.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** How bad the network is; chances per message. */
export interface NetworkFaults {
  drop: number;
  duplicate: number;
  /** Chance that a message takes many times as long, and so is overtaken. */
  delay: number;
}

/** Carries messages with latency; loses, repeats and reorders them; and cuts links, each direction for itself. */
export class Network {
  readonly faults: NetworkFaults = { drop: 0, duplicate: 0, delay: 0 };
  readonly #cut = new Set<string>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deliver: (message: Message) => void;

  constructor(clock: Clock, random: Random, deliver: (message: Message) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#deliver = deliver;
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** False when the sender can tell that the message is lost. */
  send(message: Message): boolean {
    if (this.#cut.has(`${message.from}>${message.to}`)) return this.#random.chance(0.5);
    if (this.#random.chance(this.faults.drop)) return true;
    this.#carry(message);
    // A proposal that arrives twice would be two proposals: the transport promises at most once for those.
    if (message.type !== 'propose' && this.#random.chance(this.faults.duplicate)) this.#carry(message);
    return true;
  }

  #carry(message: Message): void {
    const slow = this.#random.chance(this.faults.delay);
    const latency = slow ? this.#random.between(50, 2500) : this.#random.between(1, 20);
    this.#clock.after(latency, () => {
      if (!this.#cut.has(`${message.from}>${message.to}`)) this.#deliver(message);
    });
  }
}
