// npm run package [-- --no-build] [-- --out <directory>]: builds dist/balsa_<version>_<architecture>.deb. The same tree gives
// the same bytes: names are sorted, times are those of the last commit, owners are root.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

const depends = [
  'nodejs (>= 20) | nodejs',
  'libc6',
  'libstdc++6',
  'librocksdb7.8',
  'containerd',
  'runc',
  'containernetworking-plugins',
  'nftables',
  'iptables',
  'iproute2',
  'conntrack',
  'haproxy',
];

/** Source, place in the system, mode. A directory stands for the files in it. */
const contents = [
  ['dist/balsad.js', 'usr/lib/balsa/balsad.js'],
  ['dist/raft-worker.js', 'usr/lib/balsa/raft-worker.js'],
  ['dist/balsactl.js', 'usr/lib/balsa/balsactl.js'],
  ['dist/descriptions.generated.json', 'usr/lib/balsa/descriptions.generated.json'],
  ['dist/native', 'usr/lib/balsa/native'],
  ['dist/images', 'usr/lib/balsa/images'],
  ['deploy/debian/balsad', 'usr/bin/balsad', 0o755],
  ['deploy/debian/balsactl', 'usr/bin/balsactl', 0o755],
  ['deploy/balsad.service', 'lib/systemd/system/balsad.service'],
  ['deploy/debian/default', 'etc/default/balsad'],
  ['README.md', 'usr/share/doc/balsa/README.md'],
  ['LICENSE', 'usr/share/doc/balsa/copyright'],
  ['docs', 'usr/share/doc/balsa'],
  ...['postinst', 'prerm', 'postrm'].map((name) => [`deploy/debian/${name}`, `DEBIAN/${name}`, 0o755]),
];

const filesBelow = (directory) =>
  readdirSync(directory, { recursive: true })
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort();

const text = (program, ...args) => execFileSync(program, args, { cwd: root, encoding: 'utf8' }).trim();

/** Seconds since 1970 that every file is dated with. */
function sourceDate() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return Number(given);
  return existsSync(join(root, '.git')) ? Number(text('git', 'log', '-1', '--format=%ct')) : 0;
}

function put(stage, from, to, mode = 0o644) {
  const source = join(root, from);
  if (!existsSync(source)) throw new Error(`${from} is missing: run npm run package without --no-build`);
  if (statSync(source).isDirectory()) {
    for (const name of filesBelow(source)) put(stage, join(from, name), join(to, name), mode);
    return;
  }
  const target = join(stage, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
  chmodSync(target, mode);
}

function writeControl(stage, version, architecture) {
  const installed = filesBelow(stage).filter((name) => !name.startsWith('DEBIAN/'));
  const kibibytes = installed.reduce((sum, name) => sum + Math.ceil(statSync(join(stage, name)).size / 1024), 0);
  const fields = {
    Package: 'balsa',
    Version: version,
    Architecture: architecture,
    Maintainer: 'Balsa <balsa@localhost>',
    'Installed-Size': kibibytes,
    Depends: depends.join(', '),
    Section: 'admin',
    Priority: 'optional',
    Description:
      'Kubernetes-compatible cluster in one daemon\n' +
      ' Runs pods with containerd, keeps the state of the cluster in a replicated store of\n' +
      ' its own, and speaks the APIs of Kubernetes and of etcd. With balsactl.',
  };
  const control = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  const sums = installed.map(
    (name) =>
      `${createHash('md5')
        .update(readFileSync(join(stage, name)))
        .digest('hex')}  ${name}\n`,
  );
  const files = { control: control.join(''), md5sums: sums.join(''), conffiles: '/etc/default/balsad\n' };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(stage, 'DEBIAN', name), content);
    chmodSync(join(stage, 'DEBIAN', name), 0o644);
  }
}

const { values } = parseArgs({
  options: { 'no-build': { type: 'boolean', default: false }, out: { type: 'string', default: 'dist' } },
});
if (!values['no-build'])
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, stdio: 'inherit' });

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const architecture = text('dpkg', '--print-architecture');
const out = resolve(root, values.out);
const archive = join(out, `balsa_${version}_${architecture}.deb`);
const stage = mkdtempSync(join(tmpdir(), 'balsa-package-'));
process.umask(0o022);
try {
  chmodSync(stage, 0o755);
  for (const [from, to, mode] of contents) put(stage, from, to, mode);
  writeControl(stage, version, architecture);
  const date = sourceDate();
  for (const name of readdirSync(stage, { recursive: true })) utimesSync(join(stage, name), date, date);
  utimesSync(stage, date, date);
  mkdirSync(out, { recursive: true });
  execFileSync('dpkg-deb', ['--root-owner-group', '--threads-max=1', '-Zxz', '-z3', '--build', stage, archive], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(date) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
} finally {
  rmSync(stage, { recursive: true, force: true });
}
console.log(archive);
