import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod, Volume } from '../../apimachinery/types/core-v1.ts';
import type { DownwardFacts } from '../container/downward.ts';
import { uidOf } from '../container/labels.ts';
import { type KubeletPaths, volumeDirectory, volumesDirectory } from '../paths.ts';
import { configMap, downwardApi, projected, secret } from './api-volumes.ts';
import { emptyDir } from './empty-dir.ts';
import { hostPath } from './host-path.ts';
import { persistentVolumeClaim } from './persistent-volume-claim.ts';
import type { MountedVolume, VolumePlugin, VolumeSources } from './plugin.ts';

/** Every kind of volume there is. */
export const volumePlugins: readonly VolumePlugin[] = [
  emptyDir,
  hostPath,
  configMap,
  secret,
  downwardApi,
  projected,
  persistentVolumeClaim,
];

/** A volume that could not be set up; the message is that of the FailedMount event. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

export interface VolumeManager {
  /** Sets up, or brings up to date, all volumes of a pod. Rejects with a VolumeError that names the first that failed. */
  setUp(pod: Pod, facts: DownwardFacts): Promise<ReadonlyMap<string, MountedVolume>>;
  /** Takes away all volumes of a pod by what is on disk. */
  tearDown(uid: string): Promise<void>;
}

export function createVolumeManager(
  paths: KubeletPaths,
  sources: VolumeSources,
  plugins: readonly VolumePlugin[] = volumePlugins,
): VolumeManager {
  async function setUpOne(pod: Pod, volume: Volume, facts: DownwardFacts): Promise<MountedVolume> {
    const plugin = plugins.find((candidate) => candidate.handles(volume));
    if (plugin === undefined)
      throw new VolumeError(
        `MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : no volume plugin matched`,
      );
    const directory = volumeDirectory(paths, uidOf(pod), plugin.name, volume.name);
    try {
      return await plugin.setUp({ pod, volume, directory, sources, facts });
    } catch (error) {
      throw new VolumeError(
        `MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  return {
    async setUp(pod, facts) {
      const volumes = pod.spec?.volumes ?? [];
      const results = await Promise.allSettled(volumes.map((volume) => setUpOne(pod, volume, facts)));
      const mounted = new Map<string, MountedVolume>();
      results.forEach((result, index) => {
        if (result.status === 'rejected') throw result.reason;
        mounted.set(volumes[index]?.name ?? '', result.value);
      });
      return mounted;
    },
    async tearDown(uid) {
      const root = volumesDirectory(paths, uid);
      const kinds = await readdir(root).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      });
      for (const kind of kinds) {
        const plugin = plugins.find((candidate) => candidate.name.replaceAll('/', '~') === kind);
        for (const name of await readdir(join(root, kind))) await plugin?.tearDown(join(root, kind, name));
        await rm(join(root, kind), { recursive: true, force: true });
      }
    },
  };
}
