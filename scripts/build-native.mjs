// npm run build:native [-- store netlink] [--asan|--tsan] [--debug]: builds the C++ addons when their sources have changed.
//
// Plain builds land in build/Release. Sanitizer and debug builds land in native/build/asan/Release, native/build/tsan/Release, native/build/debug/Debug, for
// BALSA_NATIVE_DIR to point at. Node's headers come from the running Node's own installation when it has them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A target of binding.gyp and the folders whose contents decide whether it is built again. */
const targets = {
  store: ['native/store', 'native/watch'],
  netlink: ['native/netlink'],
};

const variants = {
  release: { directory: 'build', configuration: 'Release', flags: [] },
  debug: { directory: 'native/build/debug', configuration: 'Debug', flags: ['-g', '-O0'] },
  asan: {
    directory: 'native/build/asan',
    configuration: 'Release',
    flags: ['-g', '-O1', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize=vptr'],
  },
  tsan: { directory: 'native/build/tsan', configuration: 'Release', flags: ['-g', '-O1', '-fsanitize=thread'] },
};

function fail(message) {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
}

/** One build at a time in this checkout: node-gyp's files are shared by all targets. */
function withLock(work) {
  const path = join(root, 'build/.native-lock');
  mkdirSync(dirname(path), { recursive: true });
  const deadline = Date.now() + 15 * 60_000;
  for (;;) {
    try {
      const fd = openSync(path, 'wx');
      writeSync(fd, String(process.pid));
      closeSync(fd);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!holderAlive(path)) {
      rmSync(path, { force: true });
      continue;
    }
    if (Date.now() > deadline) fail(`another build holds ${path}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  try {
    return work();
  } finally {
    rmSync(path, { force: true });
  }
}

function holderAlive(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    if (pid === 0) return Date.now() - statSync(path).mtimeMs < 5000;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function digest(target, variant) {
  const hash = createHash('sha256');
  hash.update(`${process.version} ${process.arch} ${JSON.stringify(variant)}`);
  const files = targets[target].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(cc|h)$/.test(name) && !/_(test|fuzz)\.cc$/.test(name))
      .map((name) => join(folder, name)),
  );
  for (const file of ['binding.gyp', ...files.sort()]) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function run(command, args, env) {
  const result = spawnSync(command, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  fail(`${command} ${args.join(' ')} failed`);
}

function build(target, variant, configured) {
  const stamp = join(root, variant.directory, variant.configuration, `${target}.stamp`);
  const output = join(root, variant.directory, variant.configuration, `${target}.node`);
  const wanted = digest(target, variant);
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write(`build-native: building ${target} into ${variant.directory}\n`);
  const flags = variant.flags.join(' ');
  const env = {
    ...process.env,
    CXXFLAGS: `${process.env.CXXFLAGS ?? ''} ${flags}`,
    LDFLAGS: `${process.env.LDFLAGS ?? ''} ${flags}`,
  };
  if (!configured.done) {
    const prefix = dirname(dirname(process.execPath));
    const headers = existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : [];
    const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js');
    const debug = variant.configuration === 'Debug' ? ['--debug'] : [];
    // gyp writes build/ whatever it is asked; other variants take its makefiles from there.
    run(process.execPath, [gyp, 'configure', ...headers, ...debug], env);
    configured.done = true;
  }
  // The makefiles write below $(builddir_name); their own place stays build/.
  run(
    'make',
    [
      '-C',
      'build',
      '-j',
      '2',
      `BUILDTYPE=${variant.configuration}`,
      `builddir_name=${join(root, variant.directory)}`,
      target,
    ],
    env,
  );
  writeFileSync(stamp, wanted);
}

const args = process.argv.slice(2);
const chosen =
  args.find((argument) => argument.startsWith('--') && argument.slice(2) in variants)?.slice(2) ?? 'release';
const unknown = args.filter(
  (argument) => !(argument in targets) && !(argument.startsWith('--') && argument.slice(2) in variants),
);
if (unknown.length > 0) fail(`unknown argument ${unknown.join(' ')}; targets are ${Object.keys(targets).join(', ')}`);
const named = args.filter((argument) => argument in targets);
withLock(() => {
  const configured = { done: false };
  for (const target of named.length > 0 ? named : Object.keys(targets)) {
    const [folder] = targets[target];
    if (!readdirSync(join(root, folder), { recursive: true }).some((name) => name.endsWith('.cc'))) continue;
    build(target, variants[chosen], configured);
  }
});
