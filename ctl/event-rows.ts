import { humanDuration } from '../daemon/apimachinery/duration.ts';
import type { Event } from '../daemon/apimachinery/types/core-v1.ts';

/** When an event was last seen, in milliseconds since 1970; 0 when it does not say. */
export function lastSeen(event: Event): number {
  const time =
    event.series?.lastObservedTime ??
    event.lastTimestamp ??
    event.eventTime ??
    event.firstTimestamp ??
    event.metadata.creationTimestamp;
  return time === undefined ? 0 : Date.parse(time);
}

export const eventHeadings = ['last seen', 'type', 'reason', 'object', 'message'];

/** One row of `balsactl events`, `now` in milliseconds since 1970. */
export function eventRow(event: Event, now: number): string[] {
  const count = event.series?.count ?? event.count ?? 1;
  const age = humanDuration(Math.max(0, now - lastSeen(event)));
  const { kind = '', name = '' } = event.involvedObject;
  return [
    count > 1 ? `${age} (x${count})` : age,
    event.type ?? '',
    event.reason ?? '',
    `${kind.toLowerCase()}/${name}`,
    (event.message ?? '').trim(),
  ];
}

/** Oldest first, as a reader wants a story. */
export const inOrder = (events: readonly Event[]): readonly Event[] =>
  [...events].sort((a, b) => lastSeen(a) - lastSeen(b));
