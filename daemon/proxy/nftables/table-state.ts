import type { NftablesOperation } from '../netlink.ts';
import type { ServicePortRule } from '../service-rules.ts';
import { type Element, elementsOf } from './elements.ts';
import { type Layout, verdictOf } from './layout.ts';
import { type SetName, tableName } from './table.ts';

interface Held {
  readonly value: string;
  /** How many rules want it; more than one only where elements are shared. */
  count: number;
}

export interface TableChange {
  readonly operations: NftablesOperation[];
  readonly added: number;
  readonly removed: number;
}

/**
 * What one table holds, element by element, and what changed in it since the last `takeChange`. Where two rules want the
 * same address and port, such as an external IP of two Services, the first has it until it goes.
 */
export class TableState {
  readonly #layout: Layout;
  readonly #nodeIps: readonly string[];
  readonly #elements = new Map<SetName, Map<string, Held>>();
  /** Value before the change, for each element touched; undefined: it was not there. */
  readonly #touched = new Map<SetName, Map<string, string | undefined>>();
  /** How many elements and chains lead to each chain. */
  readonly #chainUses = new Map<string, number>();
  readonly #chains = new Set<string>();
  /** Which rule, by key, has each address and port. */
  readonly #owners = new Map<string, string>();
  readonly #conflicted = new Map<string, ServicePortRule>();

  constructor(layout: Layout, nodeIps: readonly string[]) {
    this.#layout = layout;
    this.#nodeIps = nodeIps;
    for (const set of layout.sets.keys()) {
      this.#elements.set(set, new Map());
      this.#touched.set(set, new Map());
    }
  }

  get conflicts(): string[] {
    return [...this.#conflicted.keys()];
  }

  add(rule: ServicePortRule): void {
    for (const element of elementsOf(rule, this.#nodeIps)) {
      if (!this.#claim(element.frontend, rule)) continue;
      const held = this.#elements.get(element.set)!.get(element.key);
      if (held === undefined) this.#put(element);
      else if (element.frontend === '') held.count++;
    }
  }

  remove(rule: ServicePortRule): void {
    this.#conflicted.delete(rule.key);
    const released = new Set<string>();
    for (const element of elementsOf(rule, this.#nodeIps)) {
      if (element.frontend !== '' && this.#owners.get(element.frontend) !== rule.key) continue;
      released.add(element.frontend);
      const held = this.#elements.get(element.set)!.get(element.key);
      if (held === undefined) continue;
      held.count--;
      if (held.count === 0) this.#take(element.set, element.key);
    }
    for (const frontend of released) this.#owners.delete(frontend);
  }

  /** Gives rules that were refused an element what has become free. */
  retryConflicts(): void {
    for (const rule of [...this.#conflicted.values()]) {
      this.remove(rule);
      this.add(rule);
    }
  }

  /** The operations that bring the kernel's table from the last call's state to this one. */
  takeChange(): TableChange {
    const added = new Map<SetName, Map<string, string[]>>();
    const deleted = new Map<SetName, string[]>();
    let addedCount = 0;
    let removedCount = 0;
    for (const [set, touched] of this.#touched) {
      for (const [key, before] of touched) {
        const after = this.#elements.get(set)!.get(key)?.value;
        if (before === after) continue;
        if (before !== undefined) {
          append(deleted, set, key);
          removedCount++;
          if (this.#leadsToChain(set, before)) this.#release(before);
        }
        if (after !== undefined) {
          const verdict = this.#layout.sets.get(set)!.holds === 'verdict' ? after : '';
          const groups = added.get(set) ?? new Map<string, string[]>();
          added.set(set, groups);
          append(groups, verdict, key);
          addedCount++;
          if (this.#leadsToChain(set, after)) this.#use(after);
        }
      }
      touched.clear();
    }
    const operations: NftablesOperation[] = [];
    // Chains first: elements lead to them, and chains to chains.
    for (const chain of this.#chainUses.keys()) this.#createChain(chain, operations);
    for (const [set, keys] of deleted) operations.push(this.#elementOperation('deleteElements', set, keys));
    for (const [set, groups] of added) {
      for (const [verdict, keys] of groups) operations.push(this.#elementOperation('addElements', set, keys, verdict));
    }
    this.#deleteUnusedChains(operations);
    return { operations, added: addedCount, removed: removedCount };
  }

  /** True when the rule has the frontend; an empty one belongs to all. */
  #claim(frontend: string, rule: ServicePortRule): boolean {
    if (frontend === '') return true;
    const owner = this.#owners.get(frontend);
    if (owner === undefined) this.#owners.set(frontend, rule.key);
    else if (owner !== rule.key) this.#conflicted.set(rule.key, rule);
    return owner === undefined || owner === rule.key;
  }

  #put(element: Element): void {
    this.#touch(element.set, element.key);
    this.#elements.get(element.set)!.set(element.key, { value: element.value, count: 1 });
  }

  #take(set: SetName, key: string): void {
    this.#touch(set, key);
    this.#elements.get(set)!.delete(key);
  }

  #touch(set: SetName, key: string): void {
    const touched = this.#touched.get(set)!;
    if (!touched.has(key)) touched.set(key, this.#elements.get(set)!.get(key)?.value);
  }

  /** `reject` is part of the layout; `drop` is no chain. */
  #leadsToChain(set: SetName, value: string): boolean {
    return this.#layout.sets.get(set)!.holds === 'verdict' && value !== 'drop' && value !== 'reject';
  }

  #use(chain: string): void {
    const uses = this.#chainUses.get(chain) ?? 0;
    this.#chainUses.set(chain, uses + 1);
    if (uses === 0) for (const next of this.#layout.chains.build(chain).leadsTo) this.#use(next);
  }

  #release(chain: string): void {
    const uses = this.#chainUses.get(chain)! - 1;
    this.#chainUses.set(chain, uses);
    if (uses === 0) for (const next of this.#layout.chains.build(chain).leadsTo) this.#release(next);
  }

  #createChain(chain: string, operations: NftablesOperation[]): void {
    if (this.#chains.has(chain) || this.#chainUses.get(chain) === 0) return;
    this.#chains.add(chain);
    const made = this.#layout.chains.build(chain);
    for (const next of made.leadsTo) this.#createChain(next, operations);
    operations.push(...made.operations);
  }

  #deleteUnusedChains(operations: NftablesOperation[]): void {
    const unused = [...this.#chainUses].filter(([, uses]) => uses === 0).map(([chain]) => chain);
    const { family } = this.#layout;
    // Their rules go first, so that no order among the chains is needed.
    for (const chain of unused) {
      if (this.#chains.has(chain)) operations.push({ operation: 'flushChain', family, table: tableName, chain });
    }
    for (const chain of unused) {
      if (this.#chains.has(chain)) operations.push({ operation: 'deleteChain', family, table: tableName, chain });
      this.#chains.delete(chain);
      this.#chainUses.delete(chain);
    }
  }

  #elementOperation(
    operation: 'addElements' | 'deleteElements',
    set: SetName,
    keys: readonly string[],
    verdict = '',
  ): NftablesOperation {
    const { keyLength, dataLength, interval, holds } = this.#layout.sets.get(set)!;
    const held = this.#elements.get(set)!;
    const firsts = interval ? keys.map((key) => key.slice(0, keyLength)) : keys;
    return {
      operation,
      family: this.#layout.family,
      table: tableName,
      set,
      keyLength,
      keys: Buffer.from(firsts.join(''), 'latin1'),
      ...(interval && { keyEnds: Buffer.from(keys.map((key) => key.slice(keyLength)).join(''), 'latin1') }),
      ...(operation === 'addElements' &&
        holds === 'data' && {
          dataLength,
          data: Buffer.from(keys.map((key) => held.get(key)!.value).join(''), 'latin1'),
        }),
      ...(verdict !== '' && { verdict: verdictOf(verdict) }),
    };
  }
}

function append<K>(lists: Map<K, string[]>, key: K, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
