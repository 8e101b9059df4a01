import { join } from 'node:path';
import type { Pod } from '../apimachinery/types/core-v1.ts';
import { uidOf } from './container/labels.ts';

/** Where things are in a kubelet's directories; the layout is the one that tools beside the kubelet expect. */
export interface KubeletPaths {
  readonly root: string;
  readonly podLogs: string;
}

export const podsDirectory = (paths: KubeletPaths): string => join(paths.root, 'pods');
export const podDirectory = (paths: KubeletPaths, uid: string): string => join(paths.root, 'pods', uid);
export const volumesDirectory = (paths: KubeletPaths, uid: string): string => join(podDirectory(paths, uid), 'volumes');
export const hostsFilePath = (paths: KubeletPaths, uid: string): string => join(podDirectory(paths, uid), 'etc-hosts');
export const containerDirectory = (paths: KubeletPaths, uid: string, container: string): string =>
  join(podDirectory(paths, uid), 'containers', container);

/** `kubernetes.io/empty-dir` is a path of one element on disk. */
export const volumeDirectory = (paths: KubeletPaths, uid: string, plugin: string, volume: string): string =>
  join(volumesDirectory(paths, uid), plugin.replaceAll('/', '~'), volume);

export const podLogDirectory = (paths: KubeletPaths, pod: Pod): string =>
  join(paths.podLogs, `${pod.metadata?.namespace}_${pod.metadata?.name}_${uidOf(pod)}`);
