// npm run bench [-- name...]: runs test/bench/*.ts (or those named), each of which prints its own table.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
setup(['build', 'run', 'test']);
const wanted = process.argv.slice(2);
const benches = readdirSync(join(root, 'test/bench'))
  .filter((name) => name.endsWith('.ts') && !name.includes('.test.') && !name.includes('load-'))
  .map((name) => name.slice(0, -'.ts'.length))
  .filter((name) => wanted.length === 0 || wanted.includes(name))
  .sort();
let failures = 0;
for (const name of benches) {
  console.log(`\n== ${name}`);
  const result = spawnSync(process.execPath, ['--import=tsx', join(root, 'test/bench', `${name}.ts`)], {
    cwd: root,
    stdio: 'inherit',
  });
  if (result.status !== 0) failures++;
}
process.exit(failures === 0 ? 0 : 1);
