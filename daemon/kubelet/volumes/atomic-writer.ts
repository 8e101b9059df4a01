import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface PayloadFile {
  readonly data: Buffer;
  readonly mode: number;
}

/** Relative path -> content. */
export type Payload = ReadonlyMap<string, PayloadFile>;

const DATA = '..data';

async function currentVersion(directory: string): Promise<string | undefined> {
  try {
    return await readlink(join(directory, DATA));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

async function holds(directory: string, payload: Payload): Promise<boolean> {
  const present = await filesBelow(directory);
  if (present.length !== payload.size) return false;
  for (const [path, { data }] of payload) {
    if (!present.includes(path)) return false;
    if (!data.equals(await readFile(join(directory, path)))) return false;
  }
  return true;
}

/** Throws for a path that would leave the volume, or could be taken for the writer's own files. */
function checkPath(path: string): void {
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || parts.includes('..') || path.startsWith('..'))
    throw new Error(`invalid path: ${JSON.stringify(path)} must be relative and must not contain or start with '..'`);
}

/**
 * Makes `directory` hold just the payload, so that a reader sees all of the old content or all of the new: each version is
 * a directory of its own, `..data` links to the current one, and each visible name links through `..data`.
 * `prepare` sees a new version before readers do. Resolves to whether anything changed.
 */
export async function writePayload(
  directory: string,
  payload: Payload,
  prepare: (version: string) => Promise<void> = async () => {},
): Promise<boolean> {
  for (const path of payload.keys()) checkPath(path);
  await mkdir(directory, { recursive: true });
  const old = await currentVersion(directory);
  if (old !== undefined && (await holds(join(directory, old), payload).catch(() => false))) {
    await linkNames(directory, payload);
    return false;
  }
  const stamp = new Date().toISOString().replace(/[-T:]/g, '_').replace('Z', '');
  const version = await mkdtemp(join(directory, `..${stamp}.`));
  await chmod(version, 0o755);
  for (const [path, { data, mode }] of payload) {
    const file = join(version, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, data);
    await chmod(file, mode); // Not subject to the umask.
  }
  await prepare(version);
  const next = join(directory, '..data_tmp');
  await rm(next, { force: true });
  await symlink(version.slice(directory.length + 1), next);
  await rename(next, join(directory, DATA));
  await linkNames(directory, payload);
  await removeLeftovers(directory, version.slice(directory.length + 1), payload);
  return true;
}

const firstElements = (payload: Payload): Set<string> =>
  new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path));

async function linkNames(directory: string, payload: Payload): Promise<void> {
  for (const name of firstElements(payload)) {
    const link = join(directory, name);
    const present = await lstat(link).catch(() => undefined);
    if (present === undefined) await symlink(join(DATA, name), link);
  }
}

/** Names that are no longer in the payload, and versions (of a writer that was killed, too) that nothing points to. */
async function removeLeftovers(directory: string, version: string, payload: Payload): Promise<void> {
  const keep = firstElements(payload);
  for (const name of await readdir(directory)) {
    if (name === DATA || name === version || keep.has(name)) continue;
    await rm(join(directory, name), { recursive: true, force: true });
  }
}
