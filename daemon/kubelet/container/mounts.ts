import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, realpath, stat, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { Mount, MountPropagation } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod, VolumeMount } from '../../apimachinery/types/core-v1.ts';
import { containerDirectory, hostsFilePath, type KubeletPaths, podDirectory } from '../paths.ts';
import type { MountedVolume } from '../volumes/plugin.ts';
import { expand } from './expansion.ts';
import { hostsFile } from './hosts-file.ts';
import { uidOf } from './labels.ts';

const propagations: Readonly<Record<string, MountPropagation>> = {
  None: MountPropagation.PROPAGATION_PRIVATE,
  HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
};

export interface MountOptions {
  readonly pod: Pod;
  readonly container: Container;
  readonly paths: KubeletPaths;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  readonly environment: ReadonlyMap<string, string>;
  readonly podIps: readonly string[];
  readonly clusterDomain: string;
  /** Content of the node's own /etc/hosts. */
  readonly nodeHosts: string;
}

const isInside = (path: string, root: string): boolean => path === root || path.startsWith(`${root}/`);

/** The path of a `subPath` in a volume: made if missing, and never outside, whatever links the volume's content holds. */
async function resolveSubPath(volume: string, subPath: string): Promise<string> {
  if (isAbsolute(subPath)) throw new Error('subPath must be relative');
  if (subPath.split('/').includes('..')) throw new Error(`subPath must not contain '..'`);
  const root = await realpath(volume);
  let at = root;
  for (const part of subPath.split('/').filter((one) => one !== '' && one !== '.')) {
    const next = join(at, part);
    const found = await realpath(next).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) {
      const { mode, uid, gid } = await stat(at);
      await mkdir(next);
      await chmod(next, mode & 0o7777);
      const handle = await open(next, 'r');
      await handle.chown(uid, gid);
      await handle.close();
    } else if (!isInside(found, root))
      throw new Error(`subpath ${JSON.stringify(subPath)} not within volume path ${JSON.stringify(root)}`);
    at = found ?? next;
  }
  return at;
}

async function volumeMount(mount: VolumeMount, options: MountOptions): Promise<Mount> {
  const volume = options.volumes.get(mount.name);
  if (volume === undefined)
    throw new Error(
      `cannot find volume ${JSON.stringify(mount.name)} to mount into container ${JSON.stringify(options.container.name)}`,
    );
  const { subPath = '', subPathExpr = '' } = mount;
  let below = subPath;
  if (subPathExpr !== '') {
    below = expand(subPathExpr, (name) => options.environment.get(name));
    if (below.includes('$(')) throw new Error(`missing value for ${JSON.stringify(subPathExpr)}`);
  }
  let hostPath = volume.path;
  if (below !== '') {
    try {
      hostPath = await resolveSubPath(volume.path, below);
    } catch (error) {
      throw new Error(
        `failed to prepare subPath for volumeMount ${JSON.stringify(mount.name)} of container ${JSON.stringify(options.container.name)}`,
        {
          cause: error,
        },
      );
    }
  }
  return Mount.fromPartial({
    containerPath: isAbsolute(mount.mountPath) ? mount.mountPath : join('/', mount.mountPath),
    hostPath,
    readonly: volume.readOnly || (mount.readOnly ?? false),
    propagation: propagations[mount.mountPropagation ?? 'None'] ?? MountPropagation.PROPAGATION_PRIVATE,
    recursiveReadOnly: mount.recursiveReadOnly === 'Enabled',
  });
}

/** All that is mounted into a container: its volumes, /etc/hosts, and the file for its termination message. */
export async function containerMounts(options: MountOptions): Promise<Mount[]> {
  const { pod, container, paths, podIps } = options;
  const mounts: Mount[] = [];
  for (const mount of container.volumeMounts ?? []) mounts.push(await volumeMount(mount, options));
  const uid = uidOf(pod);
  if (podIps.length > 0 && !mounts.some((mount) => mount.containerPath === '/etc/hosts')) {
    const file = hostsFilePath(paths, uid);
    await mkdir(podDirectory(paths, uid), { recursive: true });
    await writeFile(file, hostsFile(pod, podIps, options.clusterDomain, options.nodeHosts));
    await chmod(file, 0o644);
    mounts.push(Mount.fromPartial({ containerPath: '/etc/hosts', hostPath: file }));
  }
  const messagePath = container.terminationMessagePath ?? '';
  if (messagePath !== '') {
    const directory = containerDirectory(paths, uid, container.name);
    await mkdir(directory, { recursive: true });
    const file = join(directory, randomBytes(4).toString('hex'));
    await writeFile(file, '');
    await chmod(file, 0o666); // Whoever the container runs as may write it.
    mounts.push(Mount.fromPartial({ containerPath: messagePath, hostPath: file }));
  }
  return mounts;
}
