import { isIP, isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import type { OptionKind, OptionRow, PortRange } from './options.ts';

/** A configuration value that breaks a rule: names where it came from, and the rule. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

type Value = string | number | boolean | readonly string[] | PortRange;

const fail = (source: string, value: unknown, rule: string): never => {
  throw new ConfigError(`${source}: ${JSON.stringify(value)} ${rule}`);
};

function integer(source: string, value: unknown, min: number, max: number): number {
  const number = typeof value === 'number' ? value : /^-?\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number) || number < min || number > max)
    return fail(source, value, `is not a whole number from ${min} to ${max}`);
  return number;
}

function cidr(source: string, value: unknown): string {
  const [address, prefix, ...rest] = String(value).split('/');
  const bits = isIPv4(address ?? '') ? 32 : 128;
  if (rest.length > 0 || isIP(address ?? '') === 0 || !/^\d+$/.test(prefix ?? '') || Number(prefix) > bits)
    return fail(source, value, 'is not a CIDR such as 10.244.0.0/16');
  return String(value);
}

function portRange(source: string, value: unknown): PortRange {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(String(value)) ?? [];
  if (
    first === undefined ||
    last === undefined ||
    Number(first) < 1 ||
    Number(last) > 65535 ||
    Number(first) > Number(last)
  )
    return fail(source, value, 'is not a port range such as 30000-32767');
  return { from: Number(first), to: Number(last) };
}

const readers: Record<OptionKind, (source: string, value: unknown) => Value> = {
  string: (source, value) => (typeof value === 'string' ? value : fail(source, value, 'is not a string')),
  path: (source, value) =>
    typeof value === 'string' ? (value === '' ? '' : resolve(value)) : fail(source, value, 'is not a path'),
  port: (source, value) => integer(source, value, 0, 65535),
  integer: (source, value) => integer(source, value, 0, Number.MAX_SAFE_INTEGER),
  boolean: (source, value) =>
    typeof value === 'boolean'
      ? value
      : /^(true|false)$/.test(String(value))
        ? value === 'true'
        : fail(source, value, 'is not true or false'),
  list: (source, value) => {
    const items = Array.isArray(value) ? value : String(value).split(',');
    if (!items.every((item) => typeof item === 'string')) return fail(source, value, 'is not a list of strings');
    return items.map((item: string) => item.trim()).filter((item) => item !== '');
  },
  ip: (source, value) => (isIP(String(value)) !== 0 ? String(value) : fail(source, value, 'is not an IP address')),
  cidr,
  'port-range': portRange,
  choice: (_, value) => String(value),
};

/** Reads one value, from wherever it came (`source` names it in errors). Throws ConfigError. */
export function parseOption(row: OptionRow, source: string, value: unknown): Value {
  const parsed = readers[row.kind](source, value);
  for (const item of row.choices === undefined ? [] : [parsed].flat())
    if (!row.choices?.includes(String(item))) return fail(source, item, `is not one of ${row.choices?.join(', ')}`);
  return parsed;
}
