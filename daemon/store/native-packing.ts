import type { KeyValue, StoreErrorCode } from './store.ts';

/**
 * How calls and answers of the native store cross between JavaScript and C++: a few flat buffers instead of many objects. Little
 * endian; numbers that may pass 2^32 are doubles (exact below 2^53), lease and member ids are 64-bit integers. The C++ side
 * is `native/store/packing.h`; both change together.
 */

export interface LogEntry {
  readonly index: number;
  readonly term: number;
  /** 0: a `Command` (or nothing); others belong to Raft (configuration changes). At most 2^32 - 1. */
  readonly type: number;
  readonly data: Uint8Array;
}

export interface HardState {
  readonly term: number;
  /** 0n: none. */
  readonly vote: bigint;
  readonly commit: number;
}

/** A record of the layer above; no value: it is deleted. */
export interface MetaWrite {
  readonly key: string;
  readonly value?: Uint8Array;
}

export interface AppliedCommand {
  readonly index: number;
  /** `Command.proposal`, to find who waits for it. */
  readonly proposal: number;
  /** Whether this member proposed it (`Command.proposer` is the `memberId` of the store). */
  readonly mine: boolean;
  /** undefined: done. */
  readonly error: StoreErrorCode | undefined;
  /** The encoded response message, header filled; of an `opaque` command its own bytes; empty after an error. */
  readonly response: Buffer;
}

const logEntryHeader = 24;
const appliedHeader = 32;
const rangeHeaderBytes = 32;
/** Bytes of the fixed part of one key-value record. */
export const keyValueRow = 64;

export function packLog(entries: readonly LogEntry[]): Buffer {
  let size = 0;
  for (const entry of entries) size += logEntryHeader + entry.data.length;
  const packed = Buffer.allocUnsafe(size);
  let at = 0;
  for (const entry of entries) {
    packed.writeDoubleLE(entry.index, at);
    packed.writeDoubleLE(entry.term, at + 8);
    packed.writeUInt32LE(entry.data.length, at + 16);
    packed.writeUInt32LE(entry.type, at + 20);
    packed.set(entry.data, at + logEntryHeader);
    at += logEntryHeader + entry.data.length;
  }
  return packed;
}

export function decodeLog(buffer: ArrayBuffer): LogEntry[] {
  const packed = Buffer.from(buffer);
  const entries: LogEntry[] = [];
  for (let at = 0; at < packed.length; ) {
    const length = packed.readUInt32LE(at + 16);
    entries.push({
      index: packed.readDoubleLE(at),
      term: packed.readDoubleLE(at + 8),
      type: packed.readUInt32LE(at + 20),
      data: packed.subarray(at + logEntryHeader, at + logEntryHeader + length),
    });
    at += logEntryHeader + length;
  }
  return entries;
}

export function packHardState(state: HardState): Buffer {
  const packed = Buffer.allocUnsafe(24);
  packed.writeDoubleLE(state.term, 0);
  packed.writeBigUInt64LE(state.vote, 8);
  packed.writeDoubleLE(state.commit, 16);
  return packed;
}

const deletedMeta = 0xffffffff;

export function packMeta(writes: readonly MetaWrite[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { key, value } of writes) {
    const keyBytes = Buffer.from(key);
    const header = Buffer.allocUnsafe(8);
    header.writeUInt32LE(keyBytes.length, 0);
    header.writeUInt32LE(value === undefined ? deletedMeta : value.length, 4);
    parts.push(header, keyBytes);
    if (value !== undefined) parts.push(value);
  }
  return Buffer.concat(parts);
}

export function decodeApplied(buffer: ArrayBuffer, codes: readonly (StoreErrorCode | 'ok')[]): AppliedCommand[] {
  const packed = Buffer.from(buffer);
  const applied: AppliedCommand[] = [];
  for (let at = 0; at < packed.length; ) {
    const length = packed.readUInt32LE(at + 24);
    const code = codes[packed.readUInt32LE(at + 20)];
    applied.push({
      index: packed.readDoubleLE(at),
      proposal: packed.readDoubleLE(at + 8),
      mine: packed.readUInt32LE(at + 16) !== 0,
      error: code === 'ok' ? undefined : code,
      response: packed.subarray(at + appliedHeader, at + appliedHeader + length),
    });
    at += appliedHeader + ((length + 7) & ~7);
  }
  return applied;
}

/** Whether any of the packed results is of a command this member proposed. */
export function anyMine(buffer: ArrayBuffer): boolean {
  const view = new DataView(buffer);
  for (let at = 0; at < buffer.byteLength; ) {
    if (view.getUint32(at + 16, true) !== 0) return true;
    at += appliedHeader + ((view.getUint32(at + 24, true) + 7) & ~7);
  }
  return false;
}

export interface RangeHeader {
  readonly revision: number;
  readonly count: number;
  readonly more: boolean;
  readonly length: number;
}

export function rangeHeader(buffer: ArrayBuffer): RangeHeader {
  const view = new DataView(buffer);
  return {
    revision: view.getFloat64(0, true),
    count: view.getFloat64(8, true),
    more: view.getUint32(16, true) !== 0,
    length: view.getUint32(20, true),
  };
}

/** The records of one answer: fixed rows, then the bytes they point into. */
export class KeyValueTable {
  readonly #bytes: Buffer;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;
  readonly #longs: BigInt64Array;
  readonly #rowsAt: number;

  constructor(buffer: ArrayBuffer, rowsAt: number) {
    this.#bytes = Buffer.from(buffer);
    const whole = buffer.byteLength >>> 3;
    this.#doubles = new Float64Array(buffer, 0, whole);
    this.#words = new Uint32Array(buffer, 0, whole * 2);
    this.#longs = new BigInt64Array(buffer, 0, whole);
    this.#rowsAt = rowsAt;
  }

  #bytesAt(row: number, word: number): Buffer {
    const at = (this.#rowsAt + row * keyValueRow) / 4 + word;
    const start = this.#words[at] as number;
    return this.#bytes.subarray(start, start + (this.#words[at + 1] as number));
  }

  word(row: number, word: number): number {
    return this.#words[(this.#rowsAt + row * keyValueRow) / 4 + word] as number;
  }

  #double(row: number, slot: number): number {
    return this.#doubles[(this.#rowsAt + row * keyValueRow) / 8 + slot] as number;
  }

  key(row: number): Buffer {
    return this.#bytesAt(row, 8);
  }

  value(row: number): Buffer {
    return this.#bytesAt(row, 10);
  }

  /** The record as an encoded `mvccpb.KeyValue`. */
  encoded(row: number): Buffer {
    return this.#bytesAt(row, 12);
  }

  createRevision(row: number): number {
    return this.#double(row, 0);
  }

  modRevision(row: number): number {
    return this.#double(row, 1);
  }

  version(row: number): number {
    return this.#double(row, 2);
  }

  lease(row: number): bigint {
    return this.#longs[(this.#rowsAt + row * keyValueRow) / 8 + 3] as bigint;
  }

  keyValue(row: number): KeyValue {
    return {
      key: this.key(row),
      value: this.value(row),
      createRevision: this.createRevision(row),
      modRevision: this.modRevision(row),
      version: this.version(row),
      lease: this.lease(row),
    };
  }
}

export function decodeKeyValues(buffer: ArrayBuffer, length: number, rowsAt = 0): KeyValue[] {
  const table = new KeyValueTable(buffer, rowsAt);
  return Array.from({ length }, (_, row) => table.keyValue(row));
}

/** A range's answer in one buffer; nothing is decoded until asked for. */
export class PackedRange {
  readonly revision: number;
  readonly count: number;
  readonly more: boolean;
  readonly length: number;
  readonly #buffer: ArrayBuffer;
  #table: KeyValueTable | undefined;

  constructor(buffer: ArrayBuffer, header: RangeHeader) {
    this.revision = header.revision;
    this.count = header.count;
    this.more = header.more;
    this.length = header.length;
    this.#buffer = buffer;
  }

  get table(): KeyValueTable {
    this.#table ??= new KeyValueTable(this.#buffer, rangeHeaderBytes);
    return this.#table;
  }

  toKeyValues(): KeyValue[] {
    return this.length === 0 ? [] : decodeKeyValues(this.#buffer, this.length, rangeHeaderBytes);
  }
}

/** `Command.request` of proto/balsa/store/store.proto: field numbers. */
const requestFields = {
  put: 10,
  deleteRange: 11,
  txn: 12,
  compaction: 13,
  leaseGrant: 14,
  leaseRevoke: 15,
  leaseCheckpoint: 16,
  alarm: 17,
  meta: 18,
  opaque: 19,
} as const;
export type RequestKind = keyof typeof requestFields;

function writeVarint(out: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
}

/** An encoded `Command` around an encoded request. */
export function encodeCommand(
  kind: RequestKind,
  request: Uint8Array,
  from: { proposal: number; proposer: bigint } = { proposal: 0, proposer: 0n },
): Buffer {
  const head: number[] = [];
  if (from.proposal !== 0) {
    head.push(0x08);
    writeVarint(head, from.proposal);
  }
  const proposerAt = head.length + 1;
  if (from.proposer !== 0n) head.push(0x11, 0, 0, 0, 0, 0, 0, 0, 0);
  writeVarint(head, requestFields[kind] * 8 + 2);
  writeVarint(head, request.length);
  const command = Buffer.allocUnsafe(head.length + request.length);
  command.set(head, 0);
  if (from.proposer !== 0n) command.writeBigUInt64LE(from.proposer, proposerAt);
  command.set(request, head.length);
  return command;
}
