import fc from 'fast-check';
import t from 'tap';
import { addressBytes, parsePrefix, prefixContains } from '../proxy/nftables/addresses.ts';
import { intervalElements, subtractRanges } from './intervals.ts';

/** Few different addresses, so that prefixes meet. */
const octet = fc.constantFrom(0, 1, 127, 128, 255);
const ip = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const prefix = fc.tuple(ip, fc.integer({ min: 0, max: 32 })).map(([address, length]) => `${address}/${length}`);

t.test('intervals are sorted, apart and cover what the prefixes cover', async () => {
  fc.assert(
    fc.property(fc.array(prefix, { minLength: 1, maxLength: 12 }), ip, (texts, probe) => {
      const prefixes = texts.map((text) => parsePrefix(text)!);
      const { keys, elementFlags } = intervalElements(prefixes);
      const bounds = Array.from(elementFlags, (flag, index) => ({ flag, at: keys.readUInt32BE(index * 4) }));
      const at = addressBytes(probe).readUInt32BE(0);
      const before = bounds.filter((bound) => bound.at <= at).at(-1);
      const inside = before !== undefined && before.flag === 0;
      const ordered = bounds.every((bound, index) => index === 0 || bounds[index - 1]!.at <= bound.at);
      return ordered && inside === prefixes.some((one) => prefixContains(one, probe));
    }),
    { numRuns: 1000 },
  );
});

t.test('a block without its exceptions holds what it should', async () => {
  fc.assert(
    fc.property(prefix, fc.array(prefix, { maxLength: 5 }), ip, (block, except, probe) => {
      const left = subtractRanges(
        parsePrefix(block)!,
        except.map((one) => parsePrefix(one)!),
      );
      const at = addressBytes(probe);
      const inside = left.some((range) => Buffer.compare(range.first, at) <= 0 && Buffer.compare(at, range.last) <= 0);
      const wanted =
        prefixContains(parsePrefix(block)!, probe) && !except.some((one) => prefixContains(parsePrefix(one)!, probe));
      return inside === wanted;
    }),
    { numRuns: 1000 },
  );
});
