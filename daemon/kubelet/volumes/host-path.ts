import type { Stats } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import type { VolumePlugin } from './plugin.ts';

interface TypeRule {
  readonly accepts: (stat: Stats) => boolean;
  readonly what: string;
}

const rules: Readonly<Record<string, TypeRule>> = {
  Directory: { accepts: (s) => s.isDirectory(), what: 'a directory' },
  File: { accepts: (s) => s.isFile(), what: 'a file' },
  Socket: { accepts: (s) => s.isSocket(), what: 'a socket file' },
  CharDevice: { accepts: (s) => s.isCharacterDevice(), what: 'a character device' },
  BlockDevice: { accepts: (s) => s.isBlockDevice(), what: 'a block device' },
};

async function existing(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Creates what the `...OrCreate` types allow, and rejects unless `path` is of the type asked for. */
export async function checkHostPath(path: string, type: string): Promise<void> {
  if (type === '') return;
  if (type === 'DirectoryOrCreate' && (await existing(path)) === undefined) await mkdir(path, { recursive: true });
  if (type === 'FileOrCreate' && (await existing(path)) === undefined) await (await open(path, 'a', 0o644)).close();
  const rule = rules[type.replace('OrCreate', '')];
  if (rule === undefined) throw new Error(`${type} is an invalid volume type`);
  const found = await existing(path);
  if (found === undefined || !rule.accepts(found))
    throw new Error(`hostPath type check failed: ${path} is not ${rule.what}`);
}

export const hostPath: VolumePlugin = {
  name: 'kubernetes.io/host-path',
  handles: (volume) => volume.hostPath !== undefined,
  async setUp({ volume }) {
    const { path = '', type = '' } = volume.hostPath ?? {};
    await checkHostPath(path, type);
    return { path, readOnly: false };
  },
  // The host's files are not ours to remove.
  tearDown: async () => {},
};
