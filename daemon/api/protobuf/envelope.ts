import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { decodeProtobuf, openEnvelope, ProtobufError } from '../codec/protobuf.ts';
import { definitionOfKind } from '../codec/schema.ts';
import { encodeMessage } from './encode.ts';

/** The content type of objects in this form, and of streams of watch events. */
export const protobufType = 'application/vnd.kubernetes.protobuf';
export const protobufWatchType = 'application/vnd.kubernetes.protobuf;stream=watch';

const magic = Buffer.from('k8s\0');
const lengthDelimited = 2;

/** The definition of an `apiVersion` and `kind`; undefined for custom resources, which have no protobuf form. */
export function protobufDefinition(apiVersion: string, kind: string): string | undefined {
  const [group = '', version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  return definitionOfKind(group, version ?? '', kind);
}

/** A message in its envelope: the magic `k8s\0` and `runtime.Unknown` with the message's type. */
export function sealEnvelope(apiVersion: string, kind: string, message: Uint8Array): Buffer {
  const writer = new BinaryWriter();
  writer.tag(1, lengthDelimited).fork();
  writer.tag(1, lengthDelimited).string(apiVersion);
  writer.tag(2, lengthDelimited).string(kind);
  writer.join();
  writer.tag(2, lengthDelimited).bytes(message);
  return Buffer.concat([magic, writer.finish()]);
}

/** `PartialObjectMetadata` and its list are in no group's schema. */
const partialVersion = 'meta.k8s.io/v1';
const metaV1 = 'io.k8s.apimachinery.pkg.apis.meta.v1';

function encodePartial({ kind, metadata, items }: KubernetesObject & { items?: KubernetesObject[] }): Uint8Array {
  const isList = kind === 'PartialObjectMetadataList';
  const writer = new BinaryWriter();
  writer.tag(1, lengthDelimited);
  writer.bytes(encodeMessage(`${metaV1}.${isList ? 'ListMeta' : 'ObjectMeta'}`, metadata ?? {}));
  for (const item of items ?? []) writer.tag(2, lengthDelimited).bytes(encodePartial(item));
  return writer.finish();
}

/** A whole object, list or Status. Throws ProtobufError for a kind that has no protobuf form. */
export function encodeObject(object: KubernetesObject, definition?: string): Buffer {
  const { apiVersion = '', kind = '' } = object;
  if (apiVersion === partialVersion) return sealEnvelope(apiVersion, kind, encodePartial(object));
  const name = definition ?? protobufDefinition(apiVersion, kind);
  if (name === undefined) throw new ProtobufError(`${apiVersion}, Kind=${kind} has no protobuf form`);
  return sealEnvelope(apiVersion, kind, encodeMessage(name, object));
}

/** The object in a body that was sent in this form. Throws ProtobufError. */
export function decodeObject(body: Buffer): KubernetesObject {
  const { apiVersion, kind, raw } = openEnvelope(body);
  const definition = protobufDefinition(apiVersion, kind);
  if (definition === undefined) throw new ProtobufError(`${apiVersion}, Kind=${kind} has no protobuf form`);
  return { ...decodeProtobuf(definition, raw), apiVersion, kind };
}

/** One frame of a watch: its length in four bytes, then the event, which carries the object in its envelope. */
export function encodeWatchFrame(type: string, object: Uint8Array): Buffer {
  const writer = new BinaryWriter();
  writer.tag(1, lengthDelimited).string(type);
  writer.tag(2, lengthDelimited).fork();
  writer.tag(1, lengthDelimited).bytes(object);
  writer.join();
  const event = writer.finish();
  const frame = Buffer.allocUnsafe(4 + event.length);
  frame.writeUInt32BE(event.length);
  frame.set(event, 4);
  return frame;
}

/** The definition of the message in a frame, for readers. */
export const watchEventDefinition = 'io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent';

/**
 * The head of a list: its envelope and metadata, to be followed by `listItem` of each object. `size` is what those
 * take together, so that the items need never be joined.
 */
export function listHead(apiVersion: string, kind: string, metadata: Uint8Array, itemBytes: number): Buffer {
  const head = new BinaryWriter();
  head.tag(1, lengthDelimited).bytes(metadata);
  const headBytes = head.finish();
  const writer = new BinaryWriter();
  writer.tag(1, lengthDelimited).fork();
  writer.tag(1, lengthDelimited).string(apiVersion);
  writer.tag(2, lengthDelimited).string(kind);
  writer.join();
  writer.tag(2, lengthDelimited).uint32(headBytes.length + itemBytes);
  return Buffer.concat([magic, writer.finish(), headBytes]);
}

/** One object of a list, with the tag of `items`. */
export function listItem(message: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(2, lengthDelimited).bytes(message).finish();
}
