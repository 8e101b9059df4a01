import type { Entry } from '../../daemon/raft/message.ts';
import type { RaftNode } from '../../daemon/raft/raft-node.ts';

/** The cluster did what Raft must never do. */
export class SafetyViolation extends Error {
  override readonly name = 'SafetyViolation';
}

/** Watches a whole cluster for the properties the algorithm promises. */
export class Invariants {
  readonly #leaders = new Map<number, number>();
  /** Every committed entry ever applied anywhere, by index. */
  readonly #committed: (Entry | undefined)[] = [];

  /** Election safety: a term has at most one leader. Leader completeness: it holds every committed entry. */
  leads(id: number, node: RaftNode): void {
    const { raft } = node;
    const known = this.#leaders.get(raft.term);
    if (known === id) return;
    if (known !== undefined) {
      throw new SafetyViolation(`election safety: term ${raft.term} has leaders ${known} and ${id}`);
    }
    this.#leaders.set(raft.term, id);
    for (let index = raft.log.firstIndex(); index < this.#committed.length; index++) {
      const entry = this.#committed[index];
      if (entry === undefined || entry.term >= raft.term) continue;
      if (raft.log.term(index) !== entry.term) {
        throw new SafetyViolation(`leader completeness: leader ${id} of term ${raft.term} lacks entry ${index}`);
      }
    }
  }

  /** State-machine safety: what one member applies at an index, all do. */
  applies(id: number, entry: Entry): void {
    const known = this.#committed[entry.index];
    if (known === undefined) {
      this.#committed[entry.index] = entry;
      return;
    }
    const same = known.term === entry.term && known.type === entry.type && Buffer.from(known.data).equals(entry.data);
    if (!same) throw new SafetyViolation(`state-machine safety: member ${id} applied another entry at ${entry.index}`);
  }

  /** Log matching: where two logs have the same term at an index, they are the same up to there. */
  logsMatch(nodes: readonly RaftNode[]): void {
    for (let first = 0; first < nodes.length; first++) {
      for (let second = first + 1; second < nodes.length; second++) this.#pairMatches(nodes[first]!, nodes[second]!);
    }
  }

  #pairMatches(a: RaftNode, b: RaftNode): void {
    const low = Math.max(a.raft.log.firstIndex(), b.raft.log.firstIndex());
    let agreed = false;
    for (let index = Math.min(a.raft.log.lastIndex(), b.raft.log.lastIndex()); index >= low; index--) {
      const same = a.raft.log.term(index) === b.raft.log.term(index);
      if (agreed && !same) {
        throw new SafetyViolation(`log matching: members ${a.raft.id} and ${b.raft.id} differ at ${index}`);
      }
      agreed ||= same;
    }
  }
}
