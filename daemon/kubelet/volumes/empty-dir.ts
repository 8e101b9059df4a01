import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { unitsOf } from '../../apimachinery/quantity.ts';
import { applyFsGroup } from './ownership.ts';
import type { VolumePlugin } from './plugin.ts';

const run = promisify(execFile);

/** Mount points have spaces and the like written in octal. */
export async function isMountPoint(path: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const decode = (text: string): string =>
    text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return table.split('\n').some((line) => decode(line.split(' ')[4] ?? '') === path);
}

/** Directories made ready by this process; what containers do to them afterwards is theirs. */
const prepared = new Set<string>();

export const emptyDir: VolumePlugin = {
  name: 'kubernetes.io/empty-dir',
  handles: (volume) => volume.emptyDir !== undefined,
  async setUp({ pod, volume, directory }) {
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    if (prepared.has(directory)) return { path: directory, readOnly: false };
    await mkdir(directory, { recursive: true });
    if (medium === 'Memory' && !(await isMountPoint(directory))) {
      const size = sizeLimit === undefined ? [] : ['-o', `size=${unitsOf(sizeLimit)}`];
      await run('mount', ['-t', 'tmpfs', ...size, 'tmpfs', directory]);
    }
    await chmod(directory, 0o777);
    const { gid } = await stat(directory);
    if (gid !== pod.spec?.securityContext?.fsGroup) await applyFsGroup(pod, directory, false);
    prepared.add(directory);
    return { path: directory, readOnly: false };
  },
  async tearDown(directory) {
    prepared.delete(directory);
    if (await isMountPoint(directory)) await run('umount', [directory]);
    await rm(directory, { recursive: true, force: true });
  },
};
