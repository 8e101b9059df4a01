// npm test [-- unit|integration|simulation|native|<file>...]: makes this checkout ready, runs the tests, and ends with a line
// `N passed, N failed`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tests = (directory) =>
  readdirSync(join(root, directory), { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(directory, name))
    .sort();

/** Each suite: its files and how many run at once. Integration tests own ports, namespaces and both cores: one at a time. */
const suites = {
  unit: { files: () => [...tests('daemon'), ...tests('ctl')], jobs: 2 },
  simulation: { files: () => tests('test/simulation'), jobs: 2 },
  native: { files: () => tests('test/native'), jobs: 1 },
  integration: { files: () => tests('test/integration'), jobs: 1 },
};

setup(['build', 'run', 'test']);
const wanted = process.argv.slice(2);
const named = wanted.filter((argument) => argument in suites);
const files = wanted.filter((argument) => !(argument in suites));
const plan = files.length > 0 ? [{ files: () => files, jobs: 1 }] : (named.length > 0 ? named : Object.keys(suites)).map((name) => suites[name]);

let passed = 0;
let failed = 0;
mkdirSync(join(root, 'build'), { recursive: true });
for (const suite of plan) {
  const list = suite.files();
  if (list.length === 0) continue;
  const output = join(root, 'build/test.tap');
  rmSync(output, { force: true });
  const tap = [join(root, 'node_modules/tap/dist/esm/run.mjs'), `--jobs=${suite.jobs}`, '--reporter=terse', `--output-file=${output}`, ...list];
  const result = spawnSync(process.execPath, tap, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NO_COLOR: '1' } });
  const text = existsSync(output) ? readFileSync(output, 'utf8') : '';
  const counts = /# \{ total: \d+[^}]*\}/.exec(text.slice(text.lastIndexOf('# { total')))?.[0] ?? '';
  const count = (name) => Number(new RegExp(`${name}: (\\d+)`).exec(counts)?.[1] ?? 0);
  passed += count('pass');
  failed += count('fail');
  // A crash of the runner itself is a failure too, whatever it counted.
  if (result.status !== 0 && count('fail') === 0) failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
