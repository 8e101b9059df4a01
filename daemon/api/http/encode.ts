import type { ApiError } from '../../apimachinery/api-error.ts';
import { apiVersionOf, type KubernetesObject } from '../../apimachinery/resource.ts';
import { encodeObject, encodeWatchFrame } from '../protobuf/envelope.ts';
import type { ListPage } from '../registry/reads.ts';
import type { SelectedEvent } from '../registry/selection.ts';
import type { StoredObject } from '../registry/stored-object.ts';
import type { WatchBatch } from '../registry/watch-groups.ts';
import type { ResourceRow } from '../resources/resource-row.ts';
import { type IncludeObject, toTable } from '../table/table.ts';
import type { Representation } from './negotiate.ts';

/** What objects are sent as: whole, as metadata alone, or as rows of a table. */
export type ObjectForm = '' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';

export type { IncludeObject } from '../table/table.ts';

const comma = Buffer.from(',');
const listEnd = Buffer.from(']}\n');
const newline = Buffer.from('}\n');
const eventStart = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
} as const;

export function partialMetadata(object: KubernetesObject): KubernetesObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata ?? {} };
}

export function listMeta(page: ListPage) {
  return {
    resourceVersion: String(page.revision),
    ...(page.continue === undefined ? {} : { continue: page.continue }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
}

function listHead(page: ListPage): Buffer {
  const { handle } = page.row;
  const head = JSON.stringify({
    kind: `${handle.kind}List`,
    apiVersion: apiVersionOf(handle),
    metadata: listMeta(page),
  });
  return Buffer.from(`${head.slice(0, -1)},"items":[`);
}

/** Length of a list's JSON text in bytes. */
export function listLength(page: ListPage): number {
  let length = listHead(page).length + listEnd.length + Math.max(0, page.items.length - 1);
  for (const item of page.items) length += item.json.length;
  return length;
}

/** A list's JSON text in pieces of about `pieceBytes`: the objects' own bytes between commas, joined as they are asked for. */
export function* listPieces(page: ListPage, pieceBytes: number): Generator<Buffer> {
  let parts: Buffer[] = [listHead(page)];
  let size = parts[0]!.length;
  for (let i = 0; i < page.items.length; i++) {
    if (i > 0) parts.push(comma);
    const { json } = page.items[i]!;
    parts.push(json);
    size += json.length + (i > 0 ? 1 : 0);
    if (size >= pieceBytes) {
      yield Buffer.concat(parts, size);
      parts = [];
      size = 0;
    }
  }
  parts.push(listEnd);
  yield Buffer.concat(parts, size + listEnd.length);
}

/** A list as one object. */
export function listObject(page: ListPage): object {
  const { handle } = page.row;
  return {
    kind: `${handle.kind}List`,
    apiVersion: apiVersionOf(handle),
    metadata: listMeta(page),
    items: page.items.map((item) => item.object),
  };
}

export function partialList(page: ListPage): object {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta(page),
    items: page.items.map((item) => partialMetadata(item.object)),
  };
}

export function listTable(page: ListPage, includeObject: IncludeObject): object {
  return toTable(
    page.row,
    page.items.map((item) => item.object),
    { now: new Date(), includeObject, metadata: listMeta(page) },
  );
}

export function objectTable(row: ResourceRow, object: KubernetesObject, includeObject: IncludeObject): object {
  return toTable(row, [object], {
    now: new Date(),
    includeObject,
    metadata: { resourceVersion: object.metadata?.resourceVersion ?? '' },
  });
}

/** One object in the form asked for. */
export function formOf(stored: StoredObject, form: ObjectForm, includeObject: IncludeObject): object {
  if (form === 'Table') return objectTable(stored.row, stored.object, includeObject);
  return form === '' ? stored.object : partialMetadata(stored.object);
}

/** The frames of a batch of watch events; made once however many watchers want this form. */
export function watchFrames(
  batch: WatchBatch,
  form: ObjectForm,
  includeObject: IncludeObject,
  format: Representation['format'],
): Buffer {
  const key = `${format === 'protobuf' ? 'protobuf ' : ''}${form === 'Table' ? `Table ${includeObject}` : form}`;
  let frames = batch.encoded.get(key);
  if (frames === undefined) {
    const parts: Buffer[] = [];
    for (const event of batch.events) {
      if (format === 'protobuf') {
        parts.push(encodeWatchFrame(event.type, encodeObject(formOf(event.object, form, includeObject))));
      } else pushFrame(parts, event, form, includeObject);
    }
    frames = Buffer.concat(parts);
    batch.encoded.set(key, frames);
  }
  return frames;
}

function pushFrame(parts: Buffer[], event: SelectedEvent, form: ObjectForm, includeObject: IncludeObject): void {
  if (form === '') {
    parts.push(eventStart[event.type], event.object.json, newline);
    return;
  }
  parts.push(eventStart[event.type], Buffer.from(JSON.stringify(formOf(event.object, form, includeObject))), newline);
}

/** One event that no batch carries. */
function singleFrame(type: string, object: object, format: Representation['format']): Buffer {
  if (format === 'protobuf') return encodeWatchFrame(type, encodeObject(object));
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}

export function bookmarkFrame(
  row: ResourceRow,
  object: KubernetesObject,
  form: ObjectForm,
  format: Representation['format'],
): Buffer {
  const sent =
    form === ''
      ? object
      : form === 'Table'
        ? toTable(row, [], { now: new Date(), metadata: object.metadata as { resourceVersion: string } })
        : partialMetadata(object);
  return singleFrame('BOOKMARK', sent, format);
}

export function errorFrame(error: ApiError, format: Representation['format']): Buffer {
  return singleFrame('ERROR', error.status, format);
}
