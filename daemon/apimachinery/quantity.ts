/**
 * The order of the decimal and binary suffixes says how a quantity is written back: a quantity given as `1Gi` stays in
 * powers of 1024, one given as `1e3` stays in exponent notation.
 */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

const formatError = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const numericError = 'unable to parse numeric part of quantity';
const suffixError = "unable to parse quantity's suffix";

const shape = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/;

const decimalExponents: ReadonlyMap<string, number> = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
]);
const decimalSuffixes: ReadonlyMap<number, string> = new Map(
  [...decimalExponents].map(([suffix, exp]) => [exp, suffix]),
);
const binarySuffixes: readonly string[] = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Quantities hold nothing finer than 1e-9 and parse to nothing greater than 2^63-1. */
const nanosPerUnit = 1_000_000_000n;
const maxNanos = (2n ** 63n - 1n) * nanosPerUnit;

/** Text that is no quantity; the message is the one Kubernetes answers. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

/**
 * A Kubernetes `resource.Quantity`: an exact number of billionths and the notation it was given in. Immutable.
 *
 * Finer parts than 1e-9 are rounded away from zero ("asking for some gives some"), and greater values than 2^63-1 are
 * capped when parsed, both as the original does.
 */
export class Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;
  #text: string | undefined;

  constructor(nanos: bigint, format: QuantityFormat) {
    this.nanos = nanos;
    this.format = format;
  }

  static of(units: number | bigint, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(units) * nanosPerUnit, format);
  }

  static ofMilli(milli: number | bigint, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(milli) * 1_000_000n, format);
  }

  get isZero(): boolean {
    return this.nanos === 0n;
  }

  /** -1, 0 or 1. */
  get sign(): number {
    return this.nanos > 0n ? 1 : this.nanos < 0n ? -1 : 0;
  }

  /** Below 0, 0 or above 0, as `this` is less than, equal to or greater than `other`. */
  compare(other: Quantity): number {
    return this.nanos < other.nanos ? -1 : this.nanos > other.nanos ? 1 : 0;
  }

  equals(other: Quantity): boolean {
    return this.nanos === other.nanos;
  }

  /** The sum keeps this quantity's notation, unless this one is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.isZero ? other.format : this.format);
  }

  sub(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.isZero ? other.format : this.format);
  }

  neg(): Quantity {
    return new Quantity(-this.nanos, this.format);
  }

  /** Whole units, rounded away from zero. */
  value(): bigint {
    return divideAway(this.nanos, nanosPerUnit);
  }

  /** Thousandths, rounded away from zero. */
  milliValue(): bigint {
    return divideAway(this.nanos, 1_000_000n);
  }

  /** Rounded away from zero to a multiple of 10^exponent units (at least -9). */
  roundUp(exponent: number): Quantity {
    const step = 10n ** BigInt(exponent + 9);
    return new Quantity(divideAway(this.nanos, step) * step, this.format);
  }

  /** For ratios and metrics only: may lose precision. */
  toNumber(): number {
    return Number(this.nanos) / 1e9;
  }

  /** The canonical form: no fraction, and the largest suffix that loses nothing. */
  toString(): string {
    this.#text ??= canonical(this.nanos, this.format);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

export const zeroQuantity: Quantity = new Quantity(0n, 'DecimalSI');

function divideAway(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (quotient * divisor === value) {
    return quotient;
  }
  return value > 0n ? quotient + 1n : quotient - 1n;
}

function canonical(nanos: bigint, format: QuantityFormat): string {
  if (nanos === 0n) {
    return '0';
  }
  if (format === 'BinarySI') {
    const units = nanos / nanosPerUnit;
    // Small and fractional values read better, and lose nothing, in decimal notation.
    if (units * nanosPerUnit === nanos && (units >= 1024n || units <= -1024n)) {
      let mantissa = units;
      let power = 0;
      while (power + 1 < binarySuffixes.length && mantissa % 1024n === 0n) {
        mantissa /= 1024n;
        power++;
      }
      return `${mantissa}${binarySuffixes[power]}`;
    }
  }
  let mantissa = nanos;
  let exponent = -9;
  while (exponent < 18 && mantissa % 1000n === 0n) {
    mantissa /= 1000n;
    exponent += 3;
  }
  if (format === 'DecimalExponent') {
    return exponent === 0 ? `${mantissa}` : `${mantissa}e${exponent}`;
  }
  return `${mantissa}${decimalSuffixes.get(exponent)}`;
}

interface Suffix {
  readonly base: 2 | 10;
  readonly exponent: number;
  readonly format: QuantityFormat;
}

function parseSuffix(suffix: string): Suffix {
  const decimal = decimalExponents.get(suffix);
  if (decimal !== undefined) {
    return { base: 10, exponent: decimal, format: 'DecimalSI' };
  }
  const binary = binarySuffixes.indexOf(suffix);
  if (binary > 0) {
    return { base: 2, exponent: binary * 10, format: 'BinarySI' };
  }
  if (/^[eE][-+]?[0-9]+$/.test(suffix)) {
    return { base: 10, exponent: Number(suffix.slice(1)), format: 'DecimalExponent' };
  }
  throw new QuantityError(suffixError);
}

function parseUncached(text: string): Quantity {
  const match = shape.exec(text);
  if (match === null || text === '') {
    throw new QuantityError(formatError);
  }
  const [, sign, whole = '', fraction = '', suffixText = ''] = match;
  const digits = whole + fraction;
  if (digits === '') {
    // `.` and `+` look like numbers to the scanner; a bare suffix does not.
    throw new QuantityError(/^[+-]?\.?$/.test(text) ? numericError : formatError);
  }
  const { base, exponent, format } = parseSuffix(suffixText);
  const nanos = scale(BigInt(digits), fraction.length, base, exponent);
  const capped = nanos > maxNanos ? maxNanos : nanos;
  const fractionOfOne = format === 'BinarySI' && capped < nanosPerUnit && capped > 0n;
  return new Quantity(sign === '-' ? -capped : capped, fractionOfOne ? 'DecimalSI' : format);
}

/** `digits / 10^places * base^exponent` in nanos, rounded up; absurd exponents never become absurd bigints. */
function scale(digits: bigint, places: number, base: 2 | 10, exponent: number): bigint {
  if (digits === 0n) {
    return 0n;
  }
  if (base === 2) {
    return divideAway(digits * 2n ** BigInt(exponent) * nanosPerUnit, 10n ** BigInt(places));
  }
  const shift = exponent - places + 9;
  if (shift >= 0) {
    return shift > 40 ? maxNanos + 1n : digits * 10n ** BigInt(shift);
  }
  return -shift > 40 + digits.toString().length ? 1n : divideAway(digits, 10n ** BigInt(-shift));
}

/** The same few texts (`100m`, `128Mi`) come again with every pod; a bounded memo makes parsing them a map lookup. */
const memo = new Map<string, Quantity>();
const memoLimit = 4096;

/** Throws a `QuantityError` with Kubernetes' message when `text` is no quantity. Numbers are read as JSON numbers are. */
export function parseQuantity(text: string | number): Quantity {
  const key = typeof text === 'string' ? text : String(text);
  let quantity = memo.get(key);
  if (quantity === undefined) {
    quantity = parseUncached(key);
    if (memo.size >= memoLimit) {
      memo.clear();
    }
    memo.set(key, quantity);
  }
  return quantity;
}

/** The parsed quantity, or undefined when `text` is no quantity. */
export function tryParseQuantity(text: string | number): Quantity | undefined {
  try {
    return parseQuantity(text);
  } catch (error) {
    if (error instanceof QuantityError) {
      return undefined;
    }
    throw error;
  }
}

/** `text` in canonical form: `1000m` becomes `1`, `0.5` becomes `500m`. */
export function canonicalQuantity(text: string | number): string {
  return parseQuantity(text).toString();
}

/** Whole units (bytes, counts) as a number, rounded up; 0 when absent. Exact below 2^53. */
export function unitsOf(text: string | number | undefined): number {
  return text === undefined ? 0 : Number(parseQuantity(text).value());
}

/** Thousandths (milli-CPU) as a number, rounded up; 0 when absent. Exact below 2^53. */
export function milliOf(text: string | number | undefined): number {
  return text === undefined ? 0 : Number(parseQuantity(text).milliValue());
}
