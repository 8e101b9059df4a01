// npm start: makes this checkout ready, then runs one node in the foreground. `npm start -- --clean` removes all it made.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { say, setup } from './setup.mjs';

if (process.getuid() !== 0) {
  say('balsad programs the kernel and runs containers: run npm start as root');
  process.exit(1);
}
setup(['build', 'run']);
const daemon = spawn(
  process.execPath,
  [fileURLToPath(new URL('../dist/balsad.js', import.meta.url)), ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
// The terminal sends Ctrl-C to both; the daemon decides when it is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && daemon.kill(signal));
daemon.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
