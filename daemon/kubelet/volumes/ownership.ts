import { chmod, chown, lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../apimachinery/types/core-v1.ts';

const GROUP_RW = 0o060;
const GROUP_RX_SETGID = 0o2010;

/** Gives a tree to the pod's `fsGroup`: group-owned, group-writable (readable if `readOnly`), new files inherit the group. */
export async function applyFsGroup(pod: Pod, path: string, readOnly: boolean): Promise<void> {
  const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
  if (fsGroup === undefined) return;
  if (fsGroupChangePolicy === 'OnRootMismatch') {
    const root = await lstat(path);
    if (root.gid === fsGroup && (root.mode & 0o2000) !== 0) return;
  }
  await own(path, fsGroup, readOnly ? 0o040 : GROUP_RW);
}

async function own(path: string, gid: number, bits: number): Promise<void> {
  const stat = await lstat(path);
  if (stat.isSymbolicLink()) {
    await lchown(path, stat.uid, gid);
    return;
  }
  if (stat.gid !== gid) await chown(path, stat.uid, gid);
  const directory = stat.isDirectory();
  const mode = (stat.mode & 0o7777) | bits | (directory ? GROUP_RX_SETGID : 0);
  if (mode !== (stat.mode & 0o7777)) await chmod(path, mode);
  if (directory) for (const name of await readdir(path)) await own(join(path, name), gid, bits);
}

/** The user that every container of the pod runs as, if the spec says so and they agree. */
export function commonUser(pod: Pod): number | undefined {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const users = new Set(all.map((one) => one.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser));
  const [user] = users;
  return users.size === 1 ? user : undefined;
}
