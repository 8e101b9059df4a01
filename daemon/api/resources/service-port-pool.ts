/**
 * Node ports. The lower band is kept for ports that users choose (`min(max(16, size/32), 128)`); free ports come from the
 * upper one as long as it has any.
 */
export class PortPool {
  readonly #from: number;
  readonly #to: number;
  readonly #bandEnd: number;

  /** Both inclusive. */
  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
    const size = to - from + 1;
    this.#bandEnd = size < 16 ? from : from + Math.min(Math.max(16, Math.floor(size / 32)), 128);
  }

  contains(port: number): boolean {
    return port >= this.#from && port <= this.#to;
  }

  /** As Kubernetes prints a range: `30000-32767`. */
  toString(): string {
    return `${this.#from}-${this.#to}`;
  }

  /** undefined: the range is full. */
  allocate(isUsed: (port: number) => boolean, random: () => number): number | undefined {
    return (
      this.#scan(this.#bandEnd, this.#to, isUsed, random) ?? this.#scan(this.#from, this.#bandEnd - 1, isUsed, random)
    );
  }

  #scan(from: number, to: number, isUsed: (port: number) => boolean, random: () => number): number | undefined {
    const count = to - from + 1;
    const start = Math.floor(random() * count);
    for (let step = 0; step < count; step++) {
      const port = from + ((start + step) % count);
      if (!isUsed(port)) return port;
    }
    return undefined;
  }
}
