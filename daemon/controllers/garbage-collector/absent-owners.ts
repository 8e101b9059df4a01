const capacity = 500;

/** Uids of owners known to be gone: a uid never comes back. The latest few are enough to save asking for each dependent. */
export class AbsentOwners {
  readonly #uids = new Set<string>();

  add(uid: string): void {
    this.#uids.delete(uid);
    this.#uids.add(uid);
    const oldest = this.#uids.values().next();
    if (this.#uids.size > capacity && oldest.done !== true) this.#uids.delete(oldest.value);
  }

  has(uid: string): boolean {
    return this.#uids.has(uid);
  }
}
