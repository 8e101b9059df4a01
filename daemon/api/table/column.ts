import { humanDuration } from '../../apimachinery/duration.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { Column } from '../resources/resource-row.ts';

/** The building blocks of kubectl's columns. */

export type Cell<T> = Column<T>['cell'];

/** `wide`: shown with `-o wide` only. */
export function text<T>(name: string, cell: Cell<T>, wide = false): Column<T> {
  return { name, type: 'string', priority: wide ? 1 : 0, cell };
}

export function integer<T>(name: string, cell: Cell<T>, wide = false): Column<T> {
  return { name, type: 'integer', priority: wide ? 1 : 0, cell };
}

export const nameColumn: Column<KubernetesObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  priority: 0,
  cell: ({ metadata }) => metadata?.name ?? '',
};

/** How long ago; `<unknown>` for a time that is not set. */
export function since(time: string | undefined | null, now: Date): string {
  const millis = parseTime(time);
  return millis === undefined ? '<unknown>' : humanDuration(now.getTime() - millis);
}

export const ageColumn: Column<KubernetesObject> = text('Age', ({ metadata }, now) =>
  since(metadata?.creationTimestamp, now),
);

/** Kinds that show when they were made rather than how long ago. */
export const createdAtColumn: Column<KubernetesObject> = {
  name: 'Created At',
  type: 'date',
  priority: 0,
  cell: ({ metadata }) => metadata?.creationTimestamp ?? '',
};

export function orNone(value: string | undefined): string {
  return value || '<none>';
}

/** `a,b,c + 2 more...` */
export function listWithMore(items: readonly string[], most: number, empty: string): string {
  if (items.length === 0) return empty;
  const shown = items.slice(0, most).join(',');
  return items.length > most ? `${shown} + ${items.length - most} more...` : shown;
}

/** `a=1,b=2`, sorted; `<none>` when empty. */
export function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.sort().join(',');
}
