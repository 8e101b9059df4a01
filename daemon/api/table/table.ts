import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Table, TableColumnDefinition, TableRow } from '../../apimachinery/table.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { ListMeta } from '../../apimachinery/types/meta-v1.ts';
import type { Column, ResourceRow } from '../resources/resource-row.ts';
import { defaultColumns } from './builtin-columns.ts';

/** What of each object goes with its row. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly now: Date;
  /** Default `Metadata`, as `PartialObjectMetadata`. */
  readonly includeObject?: IncludeObject;
  /** Of the list, or of the one object. */
  readonly metadata?: ListMeta;
  /** False after the first event of a watch: clients keep the columns they were sent (default true). */
  readonly withColumns?: boolean;
}

/** Columns of a row that only says what it shows; a row of a custom resource brings its own. */
function columnsOf(row: Pick<ResourceRow, 'columns'>): readonly Column<KubernetesObject>[] {
  return row.columns ?? defaultColumns;
}

export function columnDefinitions(row: Pick<ResourceRow, 'columns'>): TableColumnDefinition[] {
  return columnsOf(row).map(({ name, type, format = '', priority, description = '' }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

export function tableRow(
  row: Pick<ResourceRow, 'columns'>,
  object: KubernetesObject,
  now: Date,
  includeObject: IncludeObject = 'Metadata',
): TableRow {
  const cells = columnsOf(row).map((column) => column.cell(object, now));
  const conditions = object.kind === 'Pod' ? completion(object as Pod) : undefined;
  const head = conditions === undefined ? { cells } : { cells, conditions };
  if (includeObject === 'None') return head;
  if (includeObject === 'Object') return { ...head, object };
  const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata ?? {} };
  return { ...head, object: partial };
}

const completions: Readonly<Record<string, string>> = {
  Succeeded: 'The pod has completed successfully.',
  Failed: 'The pod failed.',
};

/** Rows of things that have ended say so: clients may hide them. Only pods do. */
function completion({ status }: Pod): TableRow['conditions'] {
  const message = completions[status?.phase ?? ''];
  return message === undefined ? undefined : [{ type: 'Completed', status: 'True', reason: status!.phase!, message }];
}

/** The `meta.k8s.io/v1 Table` that kubectl asks for in place of a list, an object or a watch event's object. */
export function toTable(
  row: Pick<ResourceRow, 'columns'>,
  objects: Iterable<KubernetesObject>,
  { now, includeObject = 'Metadata', metadata = {}, withColumns = true }: TableOptions,
): Table {
  const rows: TableRow[] = [];
  for (const object of objects) rows.push(tableRow(row, object, now, includeObject));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? columnDefinitions(row) : [],
    rows,
  };
}
