import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * A snapshot as a file, and as etcd's `Maintenance.Snapshot` streams it: each piece behind its length (u32, little endian), zeros
 * up to whole blocks of 512 bytes, and the SHA-256 of all that. Clients of etcd know by the size that the checksum is there.
 */
const block = 512;
const checksumBytes = 32;

/** The file is no snapshot, or not the whole of one. */
export class SnapshotFileError extends Error {
  override readonly name = 'SnapshotFileError';
}

/** Puts each piece behind its length. */
export async function* framePieces(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(piece.length);
    yield Buffer.concat([length, piece]);
  }
}

/** The stream with its padding and checksum at the end. */
export async function* sealSnapshot(framed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const checksum = createHash('sha256');
  let size = 0;
  for await (const bytes of framed) {
    checksum.update(bytes);
    size += bytes.length;
    yield bytes;
  }
  const padding = Buffer.alloc((block - (size % block)) % block);
  checksum.update(padding);
  yield Buffer.concat([padding, checksum.digest()]);
}

/** The pieces of a snapshot file, after its checksum has been found right. Throws SnapshotFileError. */
export async function* readSnapshotFile(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size % block !== checksumBytes) {
      throw new SnapshotFileError(`${path}: ${size} bytes are no whole snapshot: its checksum is missing`);
    }
    await verify(file, path, size - checksumBytes);
    const header = Buffer.alloc(4);
    for (let at = 0; at + 4 <= size - checksumBytes; ) {
      await readExactly(file, header, at);
      const length = header.readUInt32LE();
      // The padding.
      if (length === 0) return;
      if (at + 4 + length > size - checksumBytes) throw new SnapshotFileError(`${path}: a piece goes beyond the end`);
      const piece = Buffer.alloc(length);
      await readExactly(file, piece, at + 4);
      yield piece;
      at += 4 + length;
    }
  } finally {
    await file.close();
  }
}

async function verify(file: FileHandle, path: string, end: number): Promise<void> {
  const checksum = createHash('sha256');
  const chunk = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < end; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, end - at));
    await readExactly(file, part, at);
    checksum.update(part);
  }
  const stored = Buffer.alloc(checksumBytes);
  await readExactly(file, stored, end);
  if (!checksum.digest().equals(stored))
    throw new SnapshotFileError(`${path}: the checksum does not fit: it is damaged`);
}

async function readExactly(file: FileHandle, into: Buffer, position: number): Promise<void> {
  const { bytesRead } = await file.read(into, 0, into.length, position);
  if (bytesRead !== into.length) throw new SnapshotFileError('the file ends too early');
}
