// npm test [-- unit|integration|simulation|native|<file>...]: makes this checkout ready, runs the tests, and ends with a line
// `N passed, N failed`.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tests = (directory) =>
  (existsSync(join(root, directory)) ? readdirSync(join(root, directory), { recursive: true }) : [])
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

if (process.env.BALSA_SKIP_SETUP !== '1') setup(['build', 'run', 'test']);
// Debian's kubectl stands in where there is no newer one.
process.env.PATH = `${process.env.PATH}:${join(root, 'node_modules/.cache/balsa/kubectl-old/usr/bin')}`;
const wanted = process.argv.slice(2);
const named = wanted.filter((argument) => argument in suites);
const files = wanted.filter((argument) => !(argument in suites));
const plan =
  files.length > 0
    ? [{ files: () => files, jobs: 1 }]
    : (named.length > 0 ? named : Object.keys(suites)).map((name) => suites[name]);

/** Prints a line for each test file, and of a failed one every failed assertion with its details. */
function createReport() {
  let lines = [];
  const counts = { passed: 0, failed: 0 };
  const failures = () => {
    let depth = -1;
    for (const line of lines) {
      const indent = line.length - line.trimStart().length;
      const text = line.trimStart();
      if (text.startsWith('not ok')) depth = indent;
      else if (depth >= 0 && indent <= depth && !text.startsWith('---') && !text.startsWith('...')) depth = -1;
      if (depth >= 0 || text.startsWith('# seed')) console.log(line);
      if (text === '...' && indent <= depth + 2) depth = -1;
    }
  };
  return {
    counts,
    line(line) {
      const summary = /^# \{ total: \d+(.*)\}/.exec(line);
      if (summary !== null) {
        counts.passed += Number(/pass: (\d+)/.exec(summary[1])?.[1] ?? 0);
        counts.failed += Number(/fail: (\d+)/.exec(summary[1])?.[1] ?? 0);
      }
      const [, outcome, name] = /^(ok|not ok) \d+ - (\S+)/.exec(line) ?? [];
      if (outcome === undefined) return void lines.push(line);
      const seconds = Number(/# time=([\d.]+)ms/.exec(line)?.[1] ?? 0) / 1000;
      console.log(`${outcome === 'ok' ? '  ok  ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`);
      if (outcome !== 'ok') failures();
      lines = [];
    },
  };
}

async function runSuite(files, jobs) {
  const report = createReport();
  const tap = [join(root, 'node_modules/tap/dist/esm/run.mjs'), `--jobs=${jobs}`, '--reporter=tap', ...files];
  const child = spawn(process.execPath, tap, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = new Promise((resolve) => child.on('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) report.line(line);
  const code = await closed;
  // A crash of the runner itself is a failure too, whatever it counted.
  if (code !== 0 && report.counts.failed === 0) report.counts.failed++;
  return report.counts;
}

let passed = 0;
let failed = 0;
for (const suite of plan) {
  const list = suite.files();
  if (list.length === 0) continue;
  const counts = await runSuite(list, suite.jobs);
  passed += counts.passed;
  failed += counts.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
