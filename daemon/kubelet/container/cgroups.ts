import { execFile } from 'node:child_process';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { uidOf } from './labels.ts';
import { type QosClass, qosClass } from './qos.ts';
import { podLinuxResources } from './resources.ts';

const run = promisify(execFile);
const ROOT = '/sys/fs/cgroup';

export interface CgroupHost {
  /** systemd names and owns cgroups (as slices), else they are plain directories. */
  readonly systemd: boolean;
  readonly cgroup2: boolean;
}

const qosTiers: readonly QosClass[] = ['Guaranteed', 'Burstable', 'BestEffort'];

function cgroupName(qos: QosClass, uid: string, systemd: boolean): string {
  const tier = qos === 'Guaranteed' ? [] : [qos.toLowerCase()];
  return systemd
    ? `${['kubepods', ...tier, `pod${uid.replaceAll('-', '_')}`].join('-')}.slice`
    : `/${['kubepods', ...tier, `pod${uid}`].join('/')}`;
}

/** The cgroup that all containers of a pod are below, in the form the runtime's cgroup driver takes. */
export function podCgroupParent(pod: Pod, systemd: boolean): string {
  return cgroupName(qosClass(pod), uidOf(pod), systemd);
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
    // EINVAL, EBUSY: less than what its containers have or use now.
    await ignoring(
      ['ENOENT', 'EROFS', 'EACCES', 'EINVAL', 'EBUSY'],
      writeFile(join(ROOT, controller, path, file), String(value)),
    );
  };
  await set('cpu', 'cpu.shares', resources.cpuShares);
  if (resources.cpuQuota > 0n) await set('cpu', 'cpu.cfs_quota_us', resources.cpuQuota);
  if (resources.memoryLimitInBytes > 0n) await set('memory', 'memory.limit_in_bytes', resources.memoryLimitInBytes);
}

/** Takes a cgroup and those below it away. False: a process is still in it. */
async function removeTree(directory: string): Promise<boolean> {
  let children: string[];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    children = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  let all = true;
  for (const child of children) if (!(await removeTree(join(directory, child)))) all = false;
  try {
    await rmdir(directory);
    return all;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'EROFS'].includes(code)) return true;
    if (['EBUSY', 'ENOTEMPTY'].includes(code)) return false;
    throw error;
  }
}

/** A process that was killed leaves its cgroup a moment later. */
const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 50;

/**
 * Takes a pod's cgroup away in every hierarchy; there may be none left. Looks in the tiers of all QoS classes, because of a
 * pod that the API no longer knows only the uid is left.
 */
export async function removePodCgroup(uid: string, host: CgroupHost): Promise<void> {
  const parents = qosTiers.map((qos) => cgroupName(qos, uid, host.systemd));
  if (host.systemd) await run('systemctl', ['stop', ...parents]).catch(() => undefined); // Gone already, or no systemd.
  const paths = host.systemd ? parents.map(slicePath) : parents;
  const directories = (await hierarchies(host.cgroup2)).flatMap((root) => paths.map((path) => join(root, path)));
  let left = directories;
  for (let tries = 0; left.length > 0 && tries < REMOVE_TRIES; tries++) {
    if (tries > 0) await sleep(REMOVE_PAUSE_MS);
    const removed = await Promise.all(left.map(removeTree));
    left = left.filter((_, index) => removed[index] !== true);
  }
}
