// npm run build: generated code, native addons, the bundles in dist/ and the images. Each step is skipped when nothing it
// depends on has changed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = (script, ...args) =>
  execFileSync(process.execPath, [join(root, 'scripts', script), ...args], { cwd: root, stdio: 'inherit' });

function filesBelow(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (!statSync(full).isDirectory()) return [path];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((file) => !file.includes('/generated/') && !file.includes('apimachinery/types/'))
    .sort();
}

async function step(name, inputs, outputs, action) {
  const hash = createHash('sha256');
  for (const file of inputs.flatMap(filesBelow)) hash.update(file).update(readFileSync(join(root, file)));
  const digest = hash.digest('hex');
  const stamp = join(root, 'node_modules/.cache/balsa', name);
  const complete = outputs.every((output) => existsSync(join(root, output)));
  if (complete && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  process.stderr.write(`balsa: building ${name}\n`);
  await action();
  mkdirSync(join(root, 'node_modules/.cache/balsa'), { recursive: true });
  writeFileSync(stamp, digest);
}

/** What `kubectl explain` says; read at run time only when somebody asks. */
const descriptions = 'descriptions.generated.json';

async function bundle() {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: { balsad: 'daemon/main.ts', 'raft-worker': 'daemon/store/raft-worker.ts', balsactl: 'ctl/main.ts' },
    outdir: 'dist',
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    minifySyntax: true,
    sourcemap: 'linked',
    // CommonJS packages inside an ES module bundle still ask for require.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  copyFileSync(join(root, 'daemon/api/openapi', descriptions), join(root, 'dist', descriptions));
}

await step(
  'generated-code',
  [
    'proto',
    'daemon/apimachinery/kubernetes-api.json',
    'scripts/generate.mjs',
    'scripts/generate-kubernetes-types.mjs',
    'scripts/generate-descriptions.mjs',
  ],
  ['proto/generated', 'daemon/apimachinery/types'],
  () => node('generate.mjs'),
);
node('build-native.mjs');
mkdirSync(join(root, 'dist/native'), { recursive: true });
for (const addon of ['store.node', 'netlink.node']) {
  const built = join(root, 'build/Release', addon);
  const copy = join(root, 'dist/native', addon);
  // A new file, renamed into place: a daemon that has the old one mapped keeps it.
  if (!existsSync(copy) || !readFileSync(copy).equals(readFileSync(built))) {
    copyFileSync(built, `${copy}.new`);
    renameSync(`${copy}.new`, copy);
  }
}
await step(
  'bundle',
  ['daemon', 'ctl', 'proto', 'scripts/build.mjs', 'package-lock.json'],
  ['dist/balsad.js', 'dist/raft-worker.js', 'dist/balsactl.js'],
  bundle,
);
await step(
  'images',
  ['native/pause', 'images', 'scripts/build-images.mjs', 'scripts/image-archive.mjs'],
  ['dist/images/pause.tar', 'dist/images/demo.tar', 'dist/images/images.json'],
  () => node('build-images.mjs'),
);
