import fc from 'fast-check';
import t from 'tap';
import { formatDuration, humanDuration, parseDuration } from './duration.ts';
import { formatMicroTime, formatTime, parseTime } from './time.ts';

t.test('go durations', async (t) => {
  const cases: [string, number][] = [
    ['0s', 0],
    ['1h0m0s', 3_600_000],
    ['1m30s', 90_000],
    ['1.5s', 1500],
    ['250ms', 250],
    ['10µs', 0.01],
    ['-2s', -2000],
  ];
  for (const [text, millis] of cases) {
    t.equal(formatDuration(millis), text);
    t.equal(parseDuration(text), millis);
  }
  t.equal(parseDuration('1h30m'), 5_400_000);
  t.equal(parseDuration('0'), 0);
  for (const bad of ['', '1', 's', '1x', '1h 2m', '.s']) {
    t.equal(parseDuration(bad), undefined, bad);
  }
  fc.assert(fc.property(fc.integer(), (millis) => parseDuration(formatDuration(millis)) === millis));
});

t.test('ages as kubectl shows them', async (t) => {
  const second = 1000;
  const minute = 60 * second;
  const hour = 60 * minute;
  const day = 24 * hour;
  const cases: [number, string][] = [
    [-5 * second, '<invalid>'],
    [-1 * second, '0s'],
    [0, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [2 * minute + 5 * second, '2m5s'],
    [10 * minute + 5 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [3 * hour + 7 * minute, '3h7m'],
    [8 * hour + 7 * minute, '8h'],
    [47 * hour, '47h'],
    [48 * hour, '2d'],
    [50 * hour, '2d2h'],
    [8 * day + hour, '8d'],
    [729 * day, '729d'],
    [731 * day, '2y1d'],
    [730 * day, '2y'],
    [365 * 9 * day + 3 * day, '9y'],
  ];
  for (const [millis, want] of cases) {
    t.equal(humanDuration(millis), want);
  }
});

t.test('times', async (t) => {
  const date = new Date('2026-01-02T03:04:05.678Z');
  t.equal(formatTime(date), '2026-01-02T03:04:05Z');
  t.equal(formatMicroTime(date), '2026-01-02T03:04:05.678000Z');
  t.equal(parseTime('2026-01-02T03:04:05.678000Z'), date.getTime());
  t.equal(parseTime('2026-01-02T05:04:05+02:00'), Date.parse('2026-01-02T03:04:05Z'));
  t.equal(parseTime('yesterday'), undefined);
  t.equal(parseTime('2026-13-40T03:04:05Z'), undefined);
  t.equal(parseTime(undefined), undefined);
});
