// Brings a fresh Debian 12 to where balsad can be built, run and tested: Debian packages, npm packages, generated code, the
// native addons, the bundle and the images. Idempotent: what is there is left alone, and a second run takes about a second.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A Debian package and a file or program that shows it is there. `for`: who needs it. */
const debianPackages = [
  { name: 'g++', program: 'g++', for: 'build' },
  { name: 'make', program: 'make', for: 'build' },
  { name: 'python3', program: 'python3', for: 'build' },
  { name: 'librocksdb-dev', file: '/usr/include/rocksdb/db.h', for: 'build' },
  { name: 'libabsl-dev', file: '/usr/include/absl/container/btree_set.h', for: 'build' },
  // Not /bin/busybox: the package busybox has that too, linked dynamically.
  { name: 'busybox-static', file: '/usr/share/doc/busybox-static', for: 'build' },
  { name: 'containerd', program: 'containerd', for: 'run' },
  { name: 'runc', program: 'runc', for: 'run' },
  { name: 'containernetworking-plugins', file: '/usr/lib/cni/bridge', for: 'run' },
  { name: 'nftables', program: 'nft', for: 'run' },
  { name: 'iptables', program: 'iptables', for: 'run' },
  { name: 'iproute2', program: 'ip', for: 'run' },
  { name: 'conntrack', program: 'conntrack', for: 'run' },
  { name: 'haproxy', program: 'haproxy', for: 'run' },
  { name: 'curl', program: 'curl', for: 'test' },
  { name: 'openssl', program: 'openssl', for: 'test' },
  { name: 'etcd-server', program: 'etcd', for: 'test' },
  { name: 'etcd-client', program: 'etcdctl', for: 'test' },
  { name: 'clang', program: 'clang++', for: 'test' },
  { name: 'libclang-rt-14-dev', file: '/usr/lib/llvm-14/lib/clang', for: 'test' },
];

const searchPath = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];

function onPath(program) {
  return searchPath.some((directory) => {
    try {
      accessSync(join(directory, program));
      return true;
    } catch {
      return false;
    }
  });
}

const present = (row) => (row.file === undefined ? onPath(row.program) : existsSync(row.file));

export function say(message) {
  process.stderr.write(`balsa: ${message}\n`);
}

function fail(message) {
  say(message);
  process.exit(1);
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (result.status !== 0)
    fail(
      `${command} ${args.join(' ')} failed${result.error ? `: ${result.error.message}` : ` (exit code ${result.status})`}`,
    );
}

export function installDebianPackages(purposes) {
  const missing = debianPackages.filter((row) => purposes.includes(row.for) && !present(row)).map((row) => row.name);
  if (missing.length === 0) return;
  const manual = `apt-get install ${missing.join(' ')}`;
  if (!onPath('apt-get'))
    fail(`missing: ${missing.join(', ')}; this is not Debian, install the like with your package manager`);
  if (process.getuid() !== 0) fail(`missing: ${missing.join(', ')}; run as root, or first: sudo ${manual}`);
  say(`installing Debian packages: ${missing.join(', ')}`);
  const quiet = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'ignore', 'inherit'] };
  run('apt-get', ['update', '-qq'], quiet);
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], quiet);
}

/** Runs `step` when the files it depends on have changed since it last succeeded. */
function whenChanged(stamp, files, step) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(existsSync(join(root, file)) ? readFileSync(join(root, file)) : '');
  const digest = hash.digest('hex');
  const path = join(root, 'node_modules/.cache/balsa', stamp);
  if (existsSync(path) && readFileSync(path, 'utf8') === digest) return;
  step();
  mkdirSync(join(root, 'node_modules/.cache/balsa'), { recursive: true });
  writeFileSync(path, digest);
}

function installNpmPackages() {
  const marker = join(root, 'node_modules/.package-lock.json');
  const install = () => {
    say('installing npm packages');
    const npm = process.env.npm_execpath;
    // Not `npm ci`: it refuses a lock without the packages of other platforms, which some mirrors do not carry.
    const args = ['install', '--no-save', '--no-progress', '--no-audit', '--no-fund', '--loglevel=error'];
    if (npm === undefined) run('npm', args);
    else run(process.execPath, [npm, ...args]);
  };
  if (!existsSync(marker)) {
    install();
    whenChanged('npm', ['package-lock.json'], () => {});
  } else whenChanged('npm', ['package-lock.json'], install);
}

/** The test runner writes its set of plug-ins once; .taprc leaves out the one that TypeScript 7 has no API for. */
function buildTestRunner() {
  if (existsSync(join(root, '.tap/plugins'))) return;
  run(process.execPath, [join(root, 'node_modules/tap/dist/esm/run.mjs'), 'build'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function node(script, ...args) {
  execFileSync(process.execPath, [join(root, 'scripts', script), ...args], { cwd: root, stdio: 'inherit' });
}

/**
 * Debian's kubectl (1.20) unpacked beside the project's caches, not installed: the tests speak with it as well as with the
 * current one that may be on PATH.
 */
function unpackOldKubectl() {
  const target = join(root, 'node_modules/.cache/balsa/kubectl-old');
  if (existsSync(join(target, 'usr/bin/kubectl')) || !onPath('apt-get')) return;
  say("fetching Debian's kubectl");
  mkdirSync(target, { recursive: true });
  const options = { cwd: target, stdio: ['ignore', 'ignore', 'inherit'] };
  const download = () =>
    spawnSync('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', 'kubernetes-client'], options);
  if (download().status !== 0) {
    run('apt-get', ['update', '-qq'], options);
    if (download().status !== 0) fail('apt-get download kubernetes-client failed');
  }
  const archive = readdirSync(target).find((name) => name.endsWith('.deb'));
  run('dpkg-deb', ['-x', archive, '.'], options);
}

/** `purposes`: 'build', 'run', 'test'. */
export function setup(purposes) {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) fail(`Node ${process.versions.node} is too old: 20 or newer is needed`);
  installDebianPackages(purposes);
  installNpmPackages();
  if (purposes.includes('test')) {
    buildTestRunner();
    unpackOldKubectl();
  }
  try {
    node('build.mjs');
  } catch {
    fail('the build failed: see above');
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  setup(['build', 'run', 'test']);
  say('ready: npm start, npm test');
}
