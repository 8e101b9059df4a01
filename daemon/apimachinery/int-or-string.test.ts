import fc from 'fast-check';
import t from 'tap';
import { percentOf, scaledValue } from './int-or-string.ts';

t.test('scaled value', async (t) => {
  t.equal(scaledValue(3, 100, true), 3);
  t.equal(scaledValue('25%', 10, true), 3);
  t.equal(scaledValue('25%', 10, false), 2);
  t.equal(scaledValue('100%', 7, false), 7);
  t.equal(scaledValue('0%', 7, true), 0);
  t.throws(() => scaledValue('25', 10, true), /string is not a percentage/);
  t.throws(() => scaledValue('x%', 10, true), /invalid value "x%"/);
  t.equal(percentOf('30%'), 30);
  t.equal(percentOf(30), undefined);
  t.equal(percentOf('30'), undefined);
});

t.test('rounding up and down differ by at most one and enclose the share', async () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(100_000), (percent, total) => {
      const up = scaledValue(`${percent}%`, total, true);
      const down = scaledValue(`${percent}%`, total, false);
      return down * 100 <= percent * total && up * 100 >= percent * total && up - down <= 1;
    }),
  );
});
