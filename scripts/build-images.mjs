// Builds the images a node needs where no registry is in reach: pause (compiled here) and the demo (the system's static busybox).
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageArchive } from './image-archive.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const busybox = '/usr/bin/busybox';

/** Name under which the pause image is imported; `daemon/kubelet/images/local-images.ts` names it too. */
export const pauseImage = 'balsa.local/pause:1';

function compilePause() {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-pause-'));
  const out = join(directory, 'pause');
  const flags = [
    '-Os',
    '-static',
    '-nostdlib',
    '-ffreestanding',
    '-fno-stack-protector',
    '-fno-asynchronous-unwind-tables',
  ];
  const warnings = ['-Wall', '-Wextra', '-Werror'];
  const link = ['-Wl,--build-id=none', '-Wl,-z,noseparate-code', '-s'];
  execFileSync(
    process.env.CC ?? 'gcc',
    [...flags, ...warnings, ...link, '-o', out, join(root, 'native/pause/pause.c')],
    {
      stdio: 'inherit',
    },
  );
  const binary = readFileSync(out);
  rmSync(directory, { recursive: true });
  return binary;
}

function demoFiles() {
  if (!existsSync(busybox)) throw new Error(`${busybox} is missing: install the package busybox-static`);
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const directories = ['bin', 'etc', 'root', 'var', 'usr', 'usr/bin', 'usr/sbin', 'sbin'];
  return [
    ...directories.map((name) => ({ name, type: 'directory', mode: 0o755 })),
    { name: 'tmp', type: 'directory', mode: 0o1777 },
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(busybox) },
    ...applets
      .filter((name) => name !== 'busybox')
      .map((name) => ({ name: `bin/${name}`, type: 'symlink', linkname: '/bin/busybox' })),
    { name: 'bin/serve', mode: 0o755, content: readFileSync(join(root, 'images/demo/serve.sh')) },
    {
      name: 'etc/passwd',
      content: Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    },
    { name: 'etc/group', content: Buffer.from('root:x:0:\nnogroup:x:65534:\n') },
  ];
}

const path = 'PATH=/bin:/sbin:/usr/bin:/usr/sbin';

async function main() {
  const out = join(root, 'dist/images');
  mkdirSync(out, { recursive: true });
  const pause = await imageArchive([
    {
      name: pauseImage,
      files: [{ name: 'pause', mode: 0o755, content: compilePause() }],
      config: { Entrypoint: ['/pause'], User: '65535:65535', Env: [path] },
    },
  ]);
  writeFileSync(join(out, 'pause.tar'), pause.archive);
  const files = demoFiles();
  const demo = await imageArchive(
    [
      ['latest', 'latest'],
      ['v1', 'v1'],
      ['v2', 'v2'],
    ].map(([tag, version]) => ({
      name: `balsa.local/demo:${tag}`,
      files,
      config: {
        Cmd: ['/bin/serve'],
        Env: [path, `VERSION=${version}`],
        WorkingDir: '/',
        ExposedPorts: { '8080/tcp': {} },
      },
    })),
  );
  writeFileSync(join(out, 'demo.tar'), demo.archive);
  // What is in the archives, so that a node can tell whether it has them without opening them.
  const contents = { 'pause.tar': pause.ids, 'demo.tar': demo.ids };
  writeFileSync(join(out, 'images.json'), `${JSON.stringify(contents, undefined, 2)}\n`);
  for (const name of ['pause', 'demo']) console.log(`${name}.tar: ${statSync(join(out, `${name}.tar`)).size} bytes`);
}

await main();
