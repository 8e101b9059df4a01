/** Bounds of the five fields of a cron schedule, and names that stand for numbers. */
const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const days = 'sun mon tue wed thu fri sat'.split(' ');
const fields = [
  { from: 0, to: 59, names: new Map<string, number>() },
  { from: 0, to: 23, names: new Map<string, number>() },
  { from: 1, to: 31, names: new Map<string, number>() },
  { from: 1, to: 12, names: new Map(months.map((name, index) => [name, index + 1])) },
  { from: 0, to: 6, names: new Map(days.map((name, index) => [name, index])) },
] as const;

const descriptors = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

function number(text: string): number | string {
  if (/^-\d+$/.test(text)) return `negative number (${text}) not allowed: ${text}`;
  if (!/^\d+$/.test(text)) {
    return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  }
  return Number(text);
}

function rangeError(expression: string, { from, to, names }: (typeof fields)[number]): string | undefined {
  const [span = '', stepText, ...more] = expression.split('/');
  const [lowText = '', highText, ...extra] = span.split('-');
  if (more.length > 0) return `too many slashes: ${expression}`;
  if (extra.length > 0) return `too many hyphens: ${expression}`;
  let low: number | string = from;
  let high: number | string = to;
  if (lowText !== '*' && lowText !== '?') {
    low = names.get(lowText.toLowerCase()) ?? number(lowText);
    if (typeof low === 'string') return low;
    high =
      highText === undefined
        ? stepText === undefined
          ? low
          : to
        : (names.get(highText.toLowerCase()) ?? number(highText));
    if (typeof high === 'string') return high;
  }
  const step = stepText === undefined ? 1 : number(stepText);
  if (typeof step === 'string') return step;
  if (low < from) return `beginning of range (${low}) below minimum (${from}): ${expression}`;
  if (high > to) return `end of range (${high}) above maximum (${to}): ${expression}`;
  if (low > high) return `beginning of range (${low}) beyond end of range (${high}): ${expression}`;
  return step === 0 ? `step of range should be a positive number: ${expression}` : undefined;
}

/** What is wrong with a standard cron schedule, in the words of the parser that Kubernetes uses; undefined: nothing. */
export function cronScheduleError(schedule: string): string | undefined {
  if (schedule === '') return 'empty spec string';
  if (schedule.startsWith('@')) {
    if (descriptors.includes(schedule)) return undefined;
    if (/^@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(schedule)) return undefined;
    return `unrecognized descriptor: ${schedule}`;
  }
  const parts = schedule.split(/\s+/).filter((part) => part !== '');
  if (parts.length !== fields.length) {
    return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
  }
  for (const [index, part] of parts.entries()) {
    for (const expression of part.split(',')) {
      const error = rangeError(expression, fields[index]!);
      if (error !== undefined) return error;
    }
  }
  return undefined;
}
