import type { ResourceCache } from './resource-cache.ts';
import { type SelectedEvent, type Selection, selectEvent } from './selection.ts';

/** Events of one moment for all watchers of one selection; encoders keep what they made of it in `encoded`. */
export interface WatchBatch {
  readonly events: readonly SelectedEvent[];
  readonly encoded: Map<unknown, Buffer>;
}

export interface WatchMember {
  onBatch(batch: WatchBatch): void;
  /** The cache was loaded anew: changes may have been missed. */
  onReset(): void;
}

interface Group {
  readonly members: Set<WatchMember>;
  readonly leave: () => void;
}

/**
 * Watchers that ask for the same share the work: a change is matched against their selection once, and encoded once for
 * each content type.
 */
export class WatchGroups {
  readonly #groups = new Map<ResourceCache, Map<string, Group>>();

  /** Returns the function that ends the membership. */
  join(cache: ResourceCache, selection: Selection, member: WatchMember): () => void {
    let groups = this.#groups.get(cache);
    if (groups === undefined) {
      groups = new Map();
      this.#groups.set(cache, groups);
    }
    const id = `${selection.row.handle.group}/${selection.row.handle.version}\n${selection.id}`;
    let group = groups.get(id);
    if (group === undefined) {
      group = startGroup(cache, selection);
      groups.set(id, group);
    }
    const joined = group;
    joined.members.add(member);
    return () => {
      if (!joined.members.delete(member) || joined.members.size > 0) return;
      joined.leave();
      groups.delete(id);
    };
  }

  get watchers(): number {
    let count = 0;
    for (const groups of this.#groups.values()) for (const group of groups.values()) count += group.members.size;
    return count;
  }
}

function startGroup(cache: ResourceCache, selection: Selection): Group {
  const members = new Set<WatchMember>();
  const leaveEvents = cache.subscribe((events) => {
    const selected: SelectedEvent[] = [];
    for (const event of events) {
      const mine = selectEvent(selection, event);
      if (mine !== undefined) selected.push(mine);
    }
    if (selected.length === 0) return;
    const batch: WatchBatch = { events: selected, encoded: new Map() };
    for (const member of [...members]) member.onBatch(batch);
  });
  const leaveResets = cache.onReset(() => {
    for (const member of [...members]) member.onReset();
  });
  return {
    members,
    leave: () => {
      leaveEvents();
      leaveResets();
    },
  };
}
