import { execFile } from 'node:child_process';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { uidOf } from './labels.ts';
import { qosClass } from './qos.ts';
import { podLinuxResources } from './resources.ts';

const run = promisify(execFile);
const ROOT = '/sys/fs/cgroup';

export interface CgroupHost {
  /** systemd names and owns cgroups (as slices), else they are plain directories. */
  readonly systemd: boolean;
  readonly cgroup2: boolean;
}

/** The cgroup that all containers of a pod are below, in the form the runtime's cgroup driver takes. */
export function podCgroupParent(pod: Pod, systemd: boolean): string {
  const qos = qosClass(pod).toLowerCase();
  const uid = uidOf(pod);
  const tier = qos === 'guaranteed' ? [] : [qos];
  return systemd
    ? `${['kubepods', ...tier, `pod${uid.replaceAll('-', '_')}`].join('-')}.slice`
    : `/${['kubepods', ...tier, `pod${uid}`].join('/')}`;
}

/** `kubepods-burstable-podX.slice` lies in `kubepods.slice/kubepods-burstable.slice/`. */
function slicePath(slice: string): string {
  const parts = slice.replace(/\.slice$/, '').split('-');
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`).join('/');
}

async function ignoring(codes: readonly string[], action: Promise<unknown>): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

async function hierarchies(cgroup2: boolean): Promise<string[]> {
  return cgroup2 ? [ROOT] : (await readdir(ROOT)).map((controller) => join(ROOT, controller));
}

/** Gives a pod's cgroup (cgroup v1, plain directories) its share of the CPU and its limits; elsewhere the runtime does. */
export async function ensurePodCgroup(pod: Pod, host: CgroupHost): Promise<void> {
  if (host.cgroup2 || host.systemd) return;
  const path = podCgroupParent(pod, false);
  const resources = podLinuxResources(pod);
  const set = async (controller: string, file: string, value: bigint): Promise<void> => {
    // Level by level: Node's recursive mkdir never ends on a file system that answers ENOENT to every try.
    let at = join(ROOT, controller);
    for (const part of path.split('/').filter((one) => one !== '')) {
      at = join(at, part);
      await ignoring(['EEXIST', 'ENOENT', 'EROFS', 'EPERM'], mkdir(at));
    }
    await ignoring(['ENOENT', 'EROFS', 'EACCES'], writeFile(join(ROOT, controller, path, file), String(value)));
  };
  await set('cpu', 'cpu.shares', resources.cpuShares);
  if (resources.cpuQuota > 0n) await set('cpu', 'cpu.cfs_quota_us', resources.cpuQuota);
  if (resources.memoryLimitInBytes > 0n) await set('memory', 'memory.limit_in_bytes', resources.memoryLimitInBytes);
}

async function removeTree(directory: string): Promise<void> {
  let children: string[];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    children = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const child of children) await removeTree(join(directory, child));
  // Busy: the runtime has not yet let go of a process in it; housekeeping comes back.
  await ignoring(['ENOENT', 'EBUSY', 'EROFS'], rmdir(directory));
}

/** Takes a pod's cgroup away in every hierarchy; there may be none left. */
export async function removePodCgroup(pod: Pod, host: CgroupHost): Promise<void> {
  const parent = podCgroupParent(pod, host.systemd);
  if (host.systemd) await run('systemctl', ['stop', parent]).catch(() => undefined); // Gone already, or no systemd.
  const path = host.systemd ? slicePath(parent) : parent;
  for (const hierarchy of await hierarchies(host.cgroup2)) await removeTree(join(hierarchy, path));
}
