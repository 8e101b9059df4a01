import { stringify } from 'yaml';
import type { KubernetesObject } from '../daemon/apimachinery/resource.ts';
import type { Event } from '../daemon/apimachinery/types/core-v1.ts';
import { formatColumns } from './columns.ts';
import { eventHeadings, eventRow, inOrder } from './event-rows.ts';

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');

/** `a=1` on lines of their own under each other, or `<none>`. */
function pairs(map: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const continuation = `\n${' '.repeat(16)}`;
  return entries.length === 0 ? '<none>' : entries.map(([key, value]) => `${key}=${value}`).join(continuation);
}

/** An object for people: what it is, each further part of it (`spec`, `data`, `status`, ...), and what happened to it. */
export function describeObject(object: KubernetesObject, events: readonly Event[], now: number): string {
  const { apiVersion, kind, metadata, ...parts } = object;
  const owner = metadata?.ownerReferences?.find((reference) => reference.controller === true);
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...annotations } = metadata?.annotations ?? {};
  const head: readonly (readonly [string, string | undefined])[] = [
    ['Name', metadata?.name],
    ['Namespace', metadata?.namespace],
    ['Kind', `${kind} (${apiVersion})`],
    ['Labels', pairs(metadata?.labels)],
    ['Annotations', pairs(annotations)],
    ['Created', metadata?.creationTimestamp],
    ['Deleted', metadata?.deletionTimestamp],
    ['Controlled By', owner && `${owner.kind}/${owner.name}`],
    ['Finalizers', metadata?.finalizers?.join(', ')],
  ];
  const lines = head.flatMap(([name, value]) => (value === undefined ? [] : [`${`${name}:`.padEnd(16)}${value}\n`]));
  // A Secret's values are for those who ask for them by name, not for whoever looks over a shoulder.
  const shown = kind === 'Secret' ? withSizes(parts) : parts;
  const bodies = Object.entries(shown).map(
    ([name, part]) => `${name.charAt(0).toUpperCase()}${name.slice(1)}:\n${indent(stringify(part))}`,
  );
  const rows = inOrder(events).map((event) => eventRow(event, now).filter((_, column) => column !== 3));
  const headings = eventHeadings.filter((heading) => heading !== 'object');
  const happened = rows.length === 0 ? 'Events:         <none>\n' : `Events:\n${indent(formatColumns(headings, rows))}`;
  return [...lines, ...bodies, happened].join('');
}

function withSizes(parts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const data = Object.entries((parts['data'] ?? {}) as Record<string, string>);
  return {
    ...parts,
    data: Object.fromEntries(data.map(([key, value]) => [key, `${Buffer.from(value, 'base64').length} bytes`])),
  };
}
