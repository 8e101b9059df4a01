import { CronExpressionParser } from 'cron-parser';
import { parseDuration } from '../../apimachinery/duration.ts';

/** A schedule that cannot be read. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

export interface Schedule {
  /** The first time after `after`, in milliseconds since the epoch; undefined when it never comes. */
  next(after: number): number | undefined;
  /** The last time not after `until`; a schedule of plain intervals counts them from `since`. */
  latest(until: number, since: number): number | undefined;
}

const descriptors: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * Reads a schedule of five fields, a descriptor such as `@hourly`, or `@every 90m`. Without a time zone the schedule is
 * read in that of the process, as kube-controller-manager does. Throws `ScheduleError`.
 */
export function parseSchedule(text: string, timeZone: string | undefined): Schedule {
  if (text.startsWith('@every ')) return everySchedule(text.slice('@every '.length));
  const expression = text.startsWith('@') ? descriptors[text] : text;
  if (expression === undefined) throw new ScheduleError(`unrecognized descriptor: ${text}`);
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) {
    throw new ScheduleError(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
  }
  const options = timeZone === undefined ? {} : { tz: timeZone };
  const from = (time: number) => CronExpressionParser.parse(expression, { ...options, currentDate: new Date(time) });
  try {
    from(0);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Well-formed, but a day that no month of it has: it never comes, and that is no error.
    if (/explicit day of month/.test(message)) return { next: () => undefined, latest: () => undefined };
    throw new ScheduleError(message);
  }
  return {
    next: (after) => timeOrNever(() => from(after).next().getTime()),
    // The library looks strictly before, in whole seconds.
    latest: (until) =>
      timeOrNever(() =>
        from(Math.floor(until / 1000) * 1000 + 1000)
          .prev()
          .getTime(),
      ),
  };
}

/** The library gives up, by throwing, on what does not come for years. */
function timeOrNever(find: () => number): number | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

function everySchedule(text: string): Schedule {
  const duration = parseDuration(text);
  if (duration === undefined) throw new ScheduleError(`failed to parse duration @every ${text}`);
  const period = Math.max(1, Math.floor(duration / 1000)) * 1000;
  return {
    next: (after) => Math.floor(after / 1000) * 1000 + period,
    latest: (until, since) => {
      const first = Math.floor(since / 1000) * 1000;
      const periods = Math.floor((until - first) / period);
      return periods < 1 ? undefined : first + periods * period;
    },
  };
}

/** Whether the name is one of the time zone database. */
export function isTimeZone(name: string): boolean {
  if (name === '' || name.toLowerCase() === 'local') return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export interface Missed {
  /** The latest time that has come since `since`; undefined when none has. */
  readonly latest: number | undefined;
  /** More than a hundred have: the schedule was not looked after, or the clock jumped. */
  readonly tooMany: boolean;
}

const tooManyMissed = 100;

/** The latest time of the schedule in (since, now], and whether far too many have passed. */
export function missedTimes(schedule: Schedule, since: number, now: number): Missed {
  const first = schedule.next(since);
  if (first === undefined || first > now) return { latest: undefined, tooMany: false };
  const second = schedule.next(first);
  if (second === undefined || second > now) return { latest: first, tooMany: false };
  const latest = schedule.latest(now, since) ?? first;
  return { latest, tooMany: Math.floor((now - first) / (second - first)) + 1 > tooManyMissed };
}
