import type { KubernetesObject } from './resource.ts';
import type { ListMeta } from './types/meta-v1.ts';

/** `meta.k8s.io/v1` Table: how the API answers when a client asks for columns. Not in the OpenAPI schema, hence here. */
export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: 'meta.k8s.io/v1';
  readonly metadata: ListMeta;
  readonly columnDefinitions: readonly TableColumnDefinition[];
  readonly rows: readonly TableRow[] | null;
}

export interface TableColumnDefinition {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export interface TableRow {
  readonly cells: readonly unknown[];
  readonly conditions?: readonly TableRowCondition[];
  /** What `includeObject` asked for: nothing, the metadata (the default), or the object. */
  readonly object?: KubernetesObject;
}

/** Says that what the row shows has ended. */
export interface TableRowCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}
