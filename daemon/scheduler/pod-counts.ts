/** The value of a node's label; undefined when the node is unknown or has no such label. */
export type LabelOf = (nodeName: string, key: string) => string | undefined;

/** How many pods of some kind are on each node, and, for each node label asked about, at each of its values. */
export class PodCounts {
  readonly byNode: Map<string, number> = new Map();
  readonly #labelOf: LabelOf;
  readonly #byLabel = new Map<string, Map<string, number>>();

  constructor(labelOf: LabelOf) {
    this.#labelOf = labelOf;
  }

  add(nodeName: string, by: 1 | -1): void {
    bump(this.byNode, nodeName, by);
    for (const [key, values] of this.#byLabel) {
      const value = this.#labelOf(nodeName, key);
      if (value !== undefined) {
        bump(values, value, by);
      }
    }
  }

  byLabel(key: string): ReadonlyMap<string, number> {
    let values = this.#byLabel.get(key);
    if (values === undefined) {
      values = new Map();
      for (const [nodeName, count] of this.byNode) {
        const value = this.#labelOf(nodeName, key);
        if (value !== undefined) {
          bump(values, value, count);
        }
      }
      this.#byLabel.set(key, values);
    }
    return values;
  }

  /** Labels of nodes have changed. */
  forgetLabels(): void {
    this.#byLabel.clear();
  }
}

function bump(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next > 0) {
    counts.set(key, next);
  } else {
    counts.delete(key);
  }
}
