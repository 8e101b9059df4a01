const unitMillis: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Milliseconds of a Go duration such as `1h30m`, `1.5s` or `-2ms`; undefined when `text` is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^([+-]?)((?:[0-9]*\.?[0-9]+|[0-9]+\.)(?:ns|us|µs|μs|ms|s|m|h))+$/u.exec(text);
  if (match === null) {
    return text === '0' || text === '+0' || text === '-0' ? 0 : undefined;
  }
  let millis = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ns|us|µs|μs|ms|s|m|h)/gu)) {
    millis += Number(amount) * (unitMillis.get(unit!) ?? 0);
  }
  return match[1] === '-' ? -millis : millis;
}

/** The way Go prints a duration: `1h0m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(millis: number): string {
  if (millis === 0) {
    return '0s';
  }
  const sign = millis < 0 ? '-' : '';
  const nanos = Math.round(Math.abs(millis) * 1e6);
  if (nanos < 1e3) {
    return `${sign}${nanos}ns`;
  }
  if (nanos < 1e6) {
    return `${sign}${trimmed(nanos / 1e3)}µs`;
  }
  if (nanos < 1e9) {
    return `${sign}${trimmed(nanos / 1e6)}ms`;
  }
  const whole = Math.floor(nanos / 1e9);
  const seconds = trimmed((whole % 60) + (nanos % 1e9) / 1e9);
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  if (hours > 0) {
    return `${sign}${hours}h${minutes}m${seconds}s`;
  }
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

function trimmed(value: number): string {
  return value.toFixed(9).replace(/\.?0+$/, '');
}

/** The age kubectl's columns show (`duration.HumanDuration`): two units at most, `<invalid>` for the future. */
export function humanDuration(millis: number): string {
  const seconds = Math.trunc(millis / 1000);
  if (seconds < -1) {
    return '<invalid>';
  }
  if (seconds < 0) {
    return '0s';
  }
  if (seconds < 120) {
    return `${seconds}s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) {
    return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  }
  if (minutes < 180) {
    return `${minutes}m`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 8) {
    return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  }
  if (hours < 48) {
    return `${hours}h`;
  }
  const days = Math.floor(hours / 24);
  if (days < 8) {
    return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  }
  if (days < 365 * 2) {
    return `${days}d`;
  }
  const years = Math.floor(days / 365);
  if (days < 365 * 8) {
    return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  }
  return `${years}y`;
}
