import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** Field numbers of etcd's requests that are looked at without decoding the rest. */
const rangeSerializable = 7;
const txnSuccess = 2;
const txnFailure = 3;
const opRange = 1;

export function isSerializableRange(request: Uint8Array): boolean {
  const reader = new BinaryReader(request);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === rangeSerializable && wireType === WireType.Varint) return reader.bool();
    reader.skip(wireType);
  }
  return false;
}

/** Whether no branch could write: then the transaction needs no place in the log. */
export function isReadOnlyTxn(request: Uint8Array): boolean {
  const reader = new BinaryReader(request);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== txnSuccess && field !== txnFailure) {
      reader.skip(wireType);
      continue;
    }
    const op = reader.bytes();
    if (op.length === 0) continue;
    // An operation is one field; a nested transaction is taken to write.
    if (op[0]! >>> 3 !== opRange) return false;
  }
  return true;
}
