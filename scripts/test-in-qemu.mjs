// node scripts/test-in-qemu.mjs <file.test.ts>: runs one test file under Debian's own kernel in an emulated machine, for what the
// running kernel lacks (IPVS). The guest sees this machine's files read-only, so there is no image to build. Needs root,
// qemu-system-x86, busybox-static and the package sources of Debian.
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = join(root, 'node_modules/.cache/balsa-qemu');
const timeoutSeconds = 900;
/** In the order they are needed; what they depend on is added. */
const wantedModules = [
  ...['crc32c_generic', 'virtio_pci', '9pnet_virtio', '9p', 'veth', 'dummy', 'bridge'],
  ...[
    'nf_conntrack',
    'nf_conntrack_netlink',
    'nf_tables',
    'nft_ct',
    'nft_numgen',
    'nft_masq',
    'nft_nat',
    'nft_chain_nat',
  ],
  ...['nft_reject', 'nft_reject_ipv4', 'nft_reject_ipv6', 'nft_reject_inet', 'nft_fib', 'nft_fib_ipv4', 'nft_fib_ipv6'],
  ...['ip_vs', 'ip_vs_rr', 'ip_vs_lc', 'ip_vs_sh'],
];

const run = (program, args, options = {}) => execFileSync(program, args, { encoding: 'utf8', ...options });

/** Downloads and unpacks the kernel that `linux-image-amd64` stands for; yields where its files are. */
function kernel() {
  const name = /Depends: (linux-image-\S+)/.exec(run('apt-cache', ['depends', 'linux-image-amd64']))?.[1];
  if (name === undefined) throw new Error('apt knows no linux-image-amd64: run apt-get update');
  const directory = join(work, name);
  const version = name.replace('linux-image-', '');
  if (!existsSync(join(directory, 'boot', `vmlinuz-${version}`))) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    run('apt-get', ['download', name], { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
    const archive = readdirSync(directory).find((file) => file.endsWith('.deb'));
    run('dpkg', ['-x', join(directory, archive), directory]);
  }
  return { image: join(directory, 'boot', `vmlinuz-${version}`), modules: join(directory, 'lib/modules', version) };
}

/** Files of the wanted modules and of those they depend on, these first. */
function moduleFiles(directory) {
  const files = new Map(
    readdirSync(directory, { recursive: true })
      .filter((file) => file.endsWith('.ko'))
      .map((file) => [basename(file, '.ko').replaceAll('-', '_'), join(directory, file)]),
  );
  const ordered = new Set();
  const add = (name) => {
    const file = files.get(name.replaceAll('-', '_'));
    // Built into the kernel.
    if (file === undefined) return;
    const depends = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1'))?.[1] ?? '';
    for (const other of depends.split(',').filter((one) => one !== '')) add(other);
    ordered.add(file);
  };
  for (const name of wantedModules) add(name);
  return [...ordered];
}

function initramfs(modules, testFile) {
  const directory = join(work, 'initramfs');
  rmSync(directory, { recursive: true, force: true });
  for (const part of ['bin', 'modules', 'proc', 'sys', 'dev', 'host'])
    mkdirSync(join(directory, part), { recursive: true });
  copyFileSync('/usr/bin/busybox', join(directory, 'bin/busybox'));
  for (const module of modules) copyFileSync(module, join(directory, 'modules', basename(module)));
  const scratch = ['tmp', 'run', 'root', 'var/tmp', join(root, '.tap').slice(1)];
  const script = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc none /proc; $b mount -t sysfs none /sys; $b mount -t devtmpfs none /dev
${modules.map((module) => `$b insmod /modules/${basename(module)} || echo "no ${basename(module)}"`).join('\n')}
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host
for d in proc sys dev; do $b mount --move /$d /host/$d; done
${scratch.map((one) => `$b mount -t tmpfs none /host/${one}`).join('\n')}
$b chroot /host /bin/sh -c 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root BALSA_LAB_SLOWNESS=10
  ip link set lo up; cd ${root}; exec ${process.execPath} --import=tsx ${testFile}'
echo "guest exit code $?"
echo o > /host/proc/sysrq-trigger; $b sleep 10
`;
  writeFileSync(join(directory, 'init'), script);
  chmodSync(join(directory, 'init'), 0o755);
  const archive = join(work, 'initramfs.gz');
  run('/bin/sh', ['-c', `find . | busybox cpio -o -H newc | gzip -1 > ${archive}`], {
    cwd: directory,
    stdio: 'ignore',
  });
  return archive;
}

const [testFile] = process.argv.slice(2);
if (testFile === undefined || !existsSync(join(root, testFile))) {
  console.error('usage: node scripts/test-in-qemu.mjs test/integration/proxy-ipvs.test.ts');
  process.exit(2);
}
mkdirSync(join(root, '.tap'), { recursive: true });
const { image, modules } = kernel();
const archive = initramfs(moduleFiles(modules), testFile);
const guest = spawn(
  'timeout',
  [
    ...[String(timeoutSeconds), 'qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', '1536'],
    ...['-nographic', '-no-reboot', '-kernel', image, '-initrd', archive],
    ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off'],
    ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
let output = '';
guest.stdout.setEncoding('utf8').on('data', (text) => {
  output += text;
  process.stdout.write(text);
});
guest.on('close', () => {
  const code = /guest exit code (\d+)/.exec(output)?.[1];
  if (code === undefined) console.error('the guest did not come to its end');
  process.exit(code === undefined ? 1 : Number(code));
});
