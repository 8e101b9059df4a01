import type { IntOrString } from './types/intstr.ts';

/** A value that is neither an integer nor a percentage; the message is the one Kubernetes answers. */
export class IntOrStringError extends Error {
  override readonly name = 'IntOrStringError';
}

/** The percentage a text such as `25%` holds; undefined when it holds none. */
export function percentOf(value: IntOrString): number | undefined {
  const match = typeof value === 'string' ? /^([0-9]+)%$/.exec(value) : null;
  return match === null ? undefined : Number(match[1]);
}

/**
 * The count that `value` stands for out of `total`: itself when an integer, that share of `total` when a percentage
 * (`intstr.GetScaledValueFromIntOrPercent`).
 */
export function scaledValue(value: IntOrString, total: number, roundUp: boolean): number {
  if (typeof value === 'number') {
    return value;
  }
  if (!value.endsWith('%')) {
    throw new IntOrStringError('invalid value for IntOrString: invalid type: string is not a percentage');
  }
  const percent = Number(value.slice(0, -1));
  if (!/^[+-]?[0-9]+%$/.test(value)) {
    throw new IntOrStringError(
      `invalid value for IntOrString: invalid value ${JSON.stringify(value)}: strconv.Atoi: parsing ${JSON.stringify(value.slice(0, -1))}: invalid syntax`,
    );
  }
  const exact = (percent * total) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}
