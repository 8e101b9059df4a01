import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isApiError } from '../../apimachinery/api-error.ts';
import type { PersistentVolume } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumes } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { KubeletPaths } from '../paths.ts';
import type { VolumeSources } from './plugin.ts';

const provisionedBy = 'pv.kubernetes.io/provisioned-by';
const localPathProvisioner = 'balsa.io/local-path';

/** One file for each volume that this node has made a directory for; its content is that directory's path. */
const recordsDirectory = (paths: KubeletPaths): string => join(paths.root, 'local-volumes');

/** Where a volume's data are that go with it; undefined when they stay, or are not ours to take away. */
function disposableDirectory({ metadata, spec }: PersistentVolume): string | undefined {
  if (metadata.annotations?.[provisionedBy] !== localPathProvisioner) return undefined;
  if (spec?.persistentVolumeReclaimPolicy !== 'Delete') return undefined;
  const path = spec.hostPath?.path;
  return path !== undefined && isOwn(metadata.name ?? '', path) ? path : undefined;
}

/** The provisioner names its directories after the volume: nothing else is ever removed. */
const isOwn = (volume: string, path: string): boolean => volume !== '' && basename(path).startsWith(`${volume}_`);

/** `sources` that remember, on disk, the directories of the local-path volumes that pods of this node mount. */
export function rememberLocalPaths(sources: VolumeSources, paths: KubeletPaths): VolumeSources {
  const records = recordsDirectory(paths);
  return {
    ...sources,
    async volume(name) {
      const volume = await sources.volume(name);
      const path = disposableDirectory(volume);
      if (path === undefined) {
        await rm(join(records, name), { force: true });
      } else {
        await mkdir(records, { recursive: true });
        await writeFile(join(records, name), path);
      }
      return volume;
    },
  };
}

/** Removes the directories whose volume is gone from the API. */
export async function reclaimLocalPaths(client: ApiClient, paths: KubeletPaths): Promise<void> {
  const records = recordsDirectory(paths);
  const names = await readdir(records).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    try {
      await client.get(persistentvolumes, { name });
      continue;
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
    const path = await readFile(join(records, name), 'utf8');
    if (isOwn(name, path)) await rm(path, { recursive: true, force: true });
    await rm(join(records, name), { force: true });
  }
}
