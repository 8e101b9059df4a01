import { type FieldMatcher, FieldSelectorError, parseFieldSelector } from '../../apimachinery/field-selector.ts';
import { type LabelMatcher, parseLabelSelector, SelectorError } from '../../apimachinery/label-selector.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { badRequest } from '../status-errors.ts';
import type { CacheEvent } from './resource-cache.ts';
import type { StoredObject } from './stored-object.ts';

/** Which objects of a resource a list or watch is about. */
export interface Selection {
  readonly row: ResourceRow;
  /** Empty: all namespaces. */
  readonly namespace: string;
  readonly labels: LabelMatcher | undefined;
  readonly fields: FieldMatcher | undefined;
  /** The one name that can match, when the field selector demands it. */
  readonly name: string | undefined;
  /** Equal selections have equal ids. */
  readonly id: string;
}

const supportedFields = new WeakMap<ResourceRow, ReadonlySet<string>>();

function fieldsOf(row: ResourceRow): ReadonlySet<string> {
  let fields = supportedFields.get(row);
  if (fields === undefined) {
    // Which fields there are does not depend on the object: an empty one of the kind names them all.
    const empty: object = { metadata: {}, spec: {}, status: {} };
    fields = new Set(['metadata.name', 'metadata.namespace', ...Object.keys(row.selectableFields?.(empty) ?? {})]);
    supportedFields.set(row, fields);
  }
  return fields;
}

/** Parses the selectors of a list or watch. Fails with 400 in Kubernetes' words. */
export function selectionOf(
  row: ResourceRow,
  options: { readonly namespace?: string; readonly labelSelector?: string; readonly fieldSelector?: string },
): Selection {
  const namespace = options.namespace ?? '';
  let labels: LabelMatcher | undefined;
  let fields: FieldMatcher | undefined;
  try {
    if (options.labelSelector) labels = parseLabelSelector(options.labelSelector);
    if (options.fieldSelector) fields = parseFieldSelector(options.fieldSelector);
  } catch (error) {
    if (error instanceof SelectorError || error instanceof FieldSelectorError) throw badRequest(error.message);
    throw error;
  }
  if (labels?.isEverything) labels = undefined;
  if (fields?.isEverything) fields = undefined;
  for (const requirement of fields?.requirements ?? []) {
    if (!fieldsOf(row).has(requirement.field)) {
      throw badRequest(
        row.selectableFields === undefined
          ? `"${requirement.field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
          : `field label not supported: ${requirement.field}`,
      );
    }
  }
  const id = `${namespace}\n${labels?.toString() ?? ''}\n${fields?.toString() ?? ''}`;
  return { row, namespace, labels, fields, name: fields?.exact('metadata.name'), id };
}

/** Whether the selectors (not the namespace) let an object through. */
export function selectorsMatch(selection: Selection, object: KubernetesObject): boolean {
  if (selection.labels !== undefined && !selection.labels.matches(object.metadata?.labels)) return false;
  if (selection.fields === undefined) return true;
  return selection.fields.matches({
    'metadata.name': object.metadata?.name ?? '',
    'metadata.namespace': object.metadata?.namespace ?? '',
    ...selection.row.selectableFields?.(object),
  });
}

/** Whether a stored object (of the stored version) is selected. */
export function selects(selection: Selection, stored: StoredObject): boolean {
  if (selection.namespace !== '' && stored.namespace !== selection.namespace) return false;
  if (selection.name !== undefined && stored.name !== selection.name) return false;
  if (selection.labels === undefined && selection.fields === undefined) return true;
  return selectorsMatch(selection, stored.viewAs(selection.row).object);
}

/** A change as one selection sees it. */
export interface SelectedEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** In the version of the selection's row. */
  readonly object: StoredObject;
}

/** An object that begins to match was ADDED for this watcher, one that ceases to match DELETED. */
export function selectEvent(selection: Selection, event: CacheEvent): SelectedEvent | undefined {
  const { row } = selection;
  if (selection.labels === undefined && selection.fields === undefined) {
    if (selection.namespace !== '' && event.object.namespace !== selection.namespace) return undefined;
    return { type: event.type, object: event.object.viewAs(row) };
  }
  const now = event.type !== 'DELETED' && selects(selection, event.object);
  const before = event.previous !== undefined && selects(selection, event.previous);
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: event.object.viewAs(row) };
  if (!before) return undefined;
  // The last state that matched, at the revision of the change.
  return { type: 'DELETED', object: event.previous!.withRevision(event.revision).viewAs(row) };
}
