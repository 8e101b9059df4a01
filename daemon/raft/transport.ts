import type { Message } from './message.ts';

/** How a member reaches the others. */
export interface PeerTransport {
  /**
   * Never waits: what cannot be carried is dropped, and the loss reported to the handler. A proposal arrives at most once. A
   * snapshot message is sent with the state itself, taken at that moment.
   */
  send(messages: readonly Message[]): void;
  /** Where the other members listen: URLs by id. */
  setPeers(peers: ReadonlyMap<number, readonly string[]>): void;
  stop(): Promise<void>;
}

/** A state that has arrived beside its message, and is not in use yet. */
export interface ReceivedSnapshot {
  /** Makes it the member's state; the log then starts after it. */
  install(hardState: { term: number; vote: number; commit: number }): Promise<void>;
  discard(): void;
}

/** What a transport tells the member it works for. */
export interface PeerHandler {
  receive(message: Message): void;
  /** Resolves once the message has been taken; the snapshot is in use by then, or discarded. */
  receiveSnapshot(message: Message, snapshot: ReceivedSnapshot): Promise<void>;
  unreachable(id: number): void;
  snapshotSent(id: number, delivered: boolean): void;
}
