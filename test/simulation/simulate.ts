/**
 * Runs schedules until one fails: `npm run simulate -- --seeds 100000`, from `--from` on; `--seed N` replays one, with every
 * event told by `--trace`; `--variant 'name'` runs a broken variant instead, which should fail.
 */
import { parseArgs } from 'node:util';
import { Schedule } from './schedule.ts';
import { variants } from './variants.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    variant: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

const variant = values.variant === undefined ? undefined : variants.find((each) => each.name === values.variant);
if (values.variant !== undefined && variant === undefined) {
  process.stderr.write(`no such variant; there are:\n${variants.map((each) => `  ${each.name}\n`).join('')}`);
  process.exit(2);
}

const first = Number(values.seed ?? values.from);
const last = values.seed === undefined ? first + Number(values.seeds) - 1 : first;
const trace = values.trace ? (line: string) => process.stdout.write(`${line}\n`) : undefined;
const started = performance.now();
let answered = 0;
for (let seed = first; seed <= last; seed++) {
  try {
    answered += new Schedule(seed, variant, trace).run().answered;
  } catch (error) {
    process.stdout.write(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n`);
    const again = variant === undefined ? '' : ` --variant '${variant.name}'`;
    process.stdout.write(`replay: npm run simulate -- --seed ${seed}${again} --trace\n`);
    process.exit(1);
  }
  if ((seed - first + 1) % 1000 === 0) process.stdout.write(`${seed - first + 1} schedules\n`);
}
const seconds = (performance.now() - started) / 1000;
const count = last - first + 1;
process.stdout.write(
  `${count} schedules, ${answered} operations answered, no violation (${(count / seconds).toFixed(0)} schedules/s)\n`,
);
