interface Appointment {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Simulated time, in milliseconds: a heap of what is to happen, equal times in the order they were asked for. */
export class Clock {
  now = 0;
  #order = 0;
  readonly #heap: Appointment[] = [];

  after(delay: number, run: () => void): void {
    const heap = this.#heap;
    const added = { at: this.now + delay, order: this.#order++, run };
    heap.push(added);
    let child = heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!before(added, heap[parent]!)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = added;
  }

  /** Runs everything due until `end`; stops early when `done` says so. */
  runUntil(end: number, done: () => boolean = () => false): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const next = this.#take();
      this.now = next.at;
      next.run();
      if (done()) return;
    }
    this.now = end;
  }

  #take(): Appointment {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let parent = 0;
    for (;;) {
      let child = parent * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[parent] = heap[child]!;
      parent = child;
    }
    heap[parent] = last;
    return first;
  }
}

function before(a: Appointment, b: Appointment): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
