import type { Event as CoreEvent } from '../../apimachinery/types/core-v1.ts';
import type { Event } from '../../apimachinery/types/events-v1.ts';
import { events } from '../../apimachinery/types/resources.ts';
import type { StoredAs } from './resource-row.ts';

/** Names of events.k8s.io/v1 and of core/v1 for one field. */
const renamed = [
  ['note', 'message'],
  ['regarding', 'involvedObject'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
] as const;

function rename(object: object, apiVersion: string, pairs: readonly (readonly [string, string])[]): object {
  const names = new Map(pairs);
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) result[names.get(name) ?? name] = value;
  result['apiVersion'] = apiVersion;
  return result;
}

/** Events are stored as core/v1: both groups show the same objects. */
export const eventsStoredAsCore: StoredAs<Event> = {
  handle: events,
  fromStored: (stored) =>
    rename(
      stored,
      'events.k8s.io/v1',
      renamed.map(([event, core]) => [core, event]),
    ) as Event,
  toStored: (event) => rename(event, 'v1', renamed) as CoreEvent,
};
