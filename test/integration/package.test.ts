import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Switch } from './cluster/namespace.ts';
import { requireRoot, TestNode } from './cluster/test-node.ts';

/** The Debian package: built, unpacked and run from where it was unpacked, as systemd would run it. */
requireRoot();
t.setTimeout(180_000);
t.jobs = 1;

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'balsa-deb-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
const installed = join(directory, 'installed');
const inPackage = (path: string): string => join(installed, path);

const build = (out: string): string =>
  execFileSync(process.execPath, [join(root, 'scripts/package.mjs'), '--no-build', '--out', join(directory, out)], {
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
  }).trim();

/** A datagram socket as systemd has one; Node cannot make it. Yields what is sent to it. */
const listenForNotifications = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`;

await t.test('the same tree gives the same bytes', async (t) => {
  const [first, second] = [build('first'), build('second')];
  t.ok(readFileSync(first).equals(readFileSync(second)));
  execFileSync('dpkg-deb', ['-x', first, installed]);
  execFileSync('dpkg-deb', ['-e', first, inPackage('DEBIAN')]);
  const control = readFileSync(inPackage('DEBIAN/control'), 'utf8');
  t.match(control, /^Package: balsa\nVersion: \d+\.\d+\.\d+\n/);
  t.match(control, /^Depends: nodejs \(>= 20\) \| nodejs, .*librocksdb7\.8/m);
});

await t.test('the scripts start nothing', async (t) => {
  for (const script of ['postinst', 'prerm', 'postrm']) {
    execFileSync('sh', ['-n', inPackage(`DEBIAN/${script}`)]);
    const commands = readFileSync(inPackage(`DEBIAN/${script}`), 'utf8').split('\n');
    t.notOk(
      commands.some((line) =>
        /^\s*(systemctl|invoke-rc\.d|deb-systemd-invoke) .*\b(start|enable|restart)\b/.test(line),
      ),
      script,
    );
  }
});

await t.test('systemd finds no fault with the unit', async (t) => {
  const unit = readFileSync(inPackage('lib/systemd/system/balsad.service'), 'utf8');
  const program = inPackage('usr/bin/balsad');
  // Checked with the program where it is here; what the unit waits for belongs to a booted system.
  const copy = join(directory, 'balsad.service');
  execFileSync('sh', ['-c', 'cat > "$0"', copy], { input: unit.replaceAll('/usr/bin/balsad', program) });
  try {
    execFileSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const failure = error as { code?: string; stderr?: string };
    if (failure.code === 'ENOENT') t.comment('no systemd here');
    else t.fail(failure.stderr ?? '');
  }
  t.match(unit, /^Type=notify$/m);
});

/** Runs a script as root of an overlay on this system: what it changes is gone when it ends. */
const inCopyOfThisSystem = (script: string): string =>
  execFileSync(
    'unshare',
    [
      '--mount',
      '--net',
      'sh',
      '-euc',
      `mkdir -p "$0" && mount -t tmpfs tmpfs "$0" && cd "$0" && mkdir upper work system
      mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work system
      cp "$1" system/balsa.deb && mount -t proc proc system/proc && mount --bind /dev system/dev
      exec chroot system sh -euc "$2" 2>&1`,
      join(directory, 'copy'),
      build('installable'),
      script,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );

await t.test('dpkg installs, upgrades, removes and purges it', async (t) => {
  // Node may come from elsewhere than a package here: the wrappers ask for no more than a node on the PATH.
  const install = 'dpkg --force-depends -i /balsa.deb';
  const said = inCopyOfThisSystem(`${install}; balsad --version; balsactl --version; ${install}
    test -s /etc/default/balsad; dpkg -r balsa; test ! -e /usr/bin/balsad; test -e /etc/default/balsad
    dpkg -P balsa; test ! -e /etc/default/balsad; test ! -e /usr/lib/balsa; echo done`);
  t.match(said, /then start it with: systemctl enable --now balsad/);
  t.match(said, /upgraded from \d+\.\d+\.\d+; finish with: systemctl restart balsad/);
  t.match(said, /^(\d+\.\d+\.\d+)\n\1$/m);
  t.match(said, /done\n$/);
});

await t.test('the unpacked balsad becomes Ready, says so to systemd, and answers balsactl', async (t) => {
  const socket = join(directory, 'notify');
  const listener = spawn('python3', ['-c', listenForNotifications, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  let notified = '';
  listener.stdout.on('data', (chunk: Buffer) => (notified += chunk.toString()));
  await once(listener.stdout, 'data');
  const listenerGone = once(listener, 'exit');

  const wires = new Switch(`balsa-sw-deb-${process.pid % 10_000}`, `10.78.${process.pid % 250}`);
  // The wrappers name /usr/lib/balsa; these are the same files where they were unpacked.
  const asInstalled = (name: string): string[] => ['node', inPackage(`usr/lib/balsa/${name}.js`)];
  t.match(readFileSync(inPackage('usr/bin/balsad'), 'utf8'), /^exec node \/usr\/lib\/balsa\/balsad\.js "\$@"$/m);
  const node = new TestNode(wires.plug(`balsa-deb-${process.pid % 10_000}`), [], {
    balsad: ['env', `NOTIFY_SOCKET=${socket}`, 'WATCHDOG_USEC=2000000', ...asInstalled('balsad')],
    balsactl: asInstalled('balsactl'),
  });
  t.teardown(async () => {
    await node.destroy();
    wires.destroy();
    listener.kill();
    await listenerGone;
  });

  await node.start();
  const status = await node.balsactl('status');
  t.equal(status.code, 0, status.stdout + status.stderr);
  t.match(status.stdout, new RegExp(`^${node.name} +Ready `, 'm'));
  t.equal(await node.stop(), 0);
  t.match(notified, `READY=1\nSTATUS=node ${node.name} is Ready`);
  t.match(notified, 'WATCHDOG=1');
  t.match(notified, 'STOPPING=1');
});
