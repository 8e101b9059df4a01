export type VoteResult = 'won' | 'lost' | 'pending';

/** The highest index a majority has acknowledged. An empty majority has acknowledged everything. */
export function majorityCommitted(voters: ReadonlySet<number>, acknowledged: (id: number) => number): number {
  if (voters.size === 0) return Number.MAX_SAFE_INTEGER;
  const indexes: number[] = [];
  for (const id of voters) indexes.push(acknowledged(id));
  if (indexes.length > 1) indexes.sort((a, b) => b - a);
  return indexes[indexes.length >> 1]!;
}

/** How a vote among a majority stands: `undefined` is a voter that has not answered. An empty majority has won. */
export function majorityVote(voters: ReadonlySet<number>, vote: (id: number) => boolean | undefined): VoteResult {
  if (voters.size === 0) return 'won';
  let yes = 0;
  let missing = 0;
  for (const id of voters) {
    const answer = vote(id);
    if (answer === true) yes++;
    else if (answer === undefined) missing++;
  }
  const needed = (voters.size >> 1) + 1;
  if (yes >= needed) return 'won';
  return yes + missing >= needed ? 'pending' : 'lost';
}

/** Two majorities that must both agree; the outgoing one is empty outside a joint membership change. */
export interface JointVoters {
  readonly incoming: ReadonlySet<number>;
  readonly outgoing: ReadonlySet<number>;
}

export function jointCommitted(voters: JointVoters, acknowledged: (id: number) => number): number {
  return Math.min(majorityCommitted(voters.incoming, acknowledged), majorityCommitted(voters.outgoing, acknowledged));
}

export function jointVote(voters: JointVoters, vote: (id: number) => boolean | undefined): VoteResult {
  const incoming = majorityVote(voters.incoming, vote);
  const outgoing = majorityVote(voters.outgoing, vote);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}

export function isVoter(voters: JointVoters, id: number): boolean {
  return voters.incoming.has(id) || voters.outgoing.has(id);
}

export function voterIds(voters: JointVoters): number[] {
  return [...new Set([...voters.incoming, ...voters.outgoing])].sort((a, b) => a - b);
}
