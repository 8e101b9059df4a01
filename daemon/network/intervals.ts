import { elementFlags } from '../proxy/nftables/expressions.ts';

/** Addresses from first to last, both included, in network order. */
export interface AddressRange {
  readonly first: Buffer;
  readonly last: Buffer;
}

/** The same addresses in ranges that are sorted and neither overlap nor touch. */
export function mergeRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const merged: { first: Buffer; last: Buffer }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => Buffer.compare(a.first, b.first))) {
    const previous = merged.at(-1);
    const behind = previous && successor(previous.last);
    if (previous === undefined || (behind !== undefined && Buffer.compare(first, behind) > 0)) {
      merged.push({ first, last });
    } else if (Buffer.compare(last, previous.last) > 0) {
      previous.last = last;
    }
  }
  return merged;
}

/** What is left of the range without the others. */
export function subtractRanges(range: AddressRange, without: readonly AddressRange[]): AddressRange[] {
  const left: AddressRange[] = [];
  let first: Buffer | undefined = range.first;
  for (const gap of mergeRanges(without)) {
    if (first === undefined || Buffer.compare(gap.first, range.last) > 0) break;
    if (Buffer.compare(gap.last, first) < 0) continue;
    const before = predecessor(gap.first);
    if (before !== undefined && Buffer.compare(before, first) >= 0) left.push({ first, last: before });
    first = successor(gap.last);
  }
  if (first !== undefined && Buffer.compare(first, range.last) <= 0) left.push({ first, last: range.last });
  return left;
}

/** Elements as the kernel wants them: each range a start and the first address behind its end, marked as such. */
export function intervalElements(ranges: readonly AddressRange[]): { keys: Buffer; elementFlags: Uint8Array } {
  const keys: Buffer[] = [];
  const flags: number[] = [];
  for (const { first, last } of mergeRanges(ranges)) {
    keys.push(first);
    flags.push(0);
    const behind = successor(last);
    if (behind === undefined) break;
    keys.push(behind);
    flags.push(elementFlags.intervalEnd);
  }
  return { keys: Buffer.concat(keys), elementFlags: Uint8Array.from(flags) };
}

/** Undefined behind the last address there is. */
function successor(address: Buffer): Buffer | undefined {
  return neighbour(address, 255, 1);
}

/** Undefined before the first address there is. */
function predecessor(address: Buffer): Buffer | undefined {
  return neighbour(address, 0, -1);
}

function neighbour(address: Buffer, limit: number, step: 1 | -1): Buffer | undefined {
  const next = Buffer.from(address);
  for (let index = next.length - 1; index >= 0; index--) {
    if (next[index] !== limit) {
      next[index] = next[index]! + step;
      return next;
    }
    next[index] = 255 - limit;
  }
  return undefined;
}
