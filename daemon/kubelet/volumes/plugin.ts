import type { PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '../../apimachinery/types/core-v1.ts';
import type { DownwardFacts } from '../container/downward.ts';
import type { ConfigSource } from '../container/environment.ts';

/** What volumes are made of, beyond the pod itself. */
export interface VolumeSources extends ConfigSource {
  serviceAccountToken(pod: Pod, audience: string | undefined, expirationSeconds: number): Promise<string>;
  claim(namespace: string, name: string): Promise<PersistentVolumeClaim>;
  volume(name: string): Promise<PersistentVolume>;
}

export interface VolumeRequest {
  readonly pod: Pod;
  readonly volume: Volume;
  /** The volume's own directory; not made yet. */
  readonly directory: string;
  readonly sources: VolumeSources;
  readonly facts: DownwardFacts;
}

export interface MountedVolume {
  /** What containers see, on the host. */
  readonly path: string;
  /** The kubelet writes the content; containers do not. */
  readonly readOnly: boolean;
}

/**
 * A kind of volume. `setUp` is called at every sync of the pod: it makes what is missing, brings content up to date and
 * changes nothing otherwise; it rejects with the text of the FailedMount event. `tearDown` gets the directory alone, because
 * the pod may be long gone.
 */
export interface VolumePlugin {
  /** Such as `kubernetes.io/empty-dir`; with `~` for `/` it names a directory. */
  readonly name: string;
  handles(volume: Volume): boolean;
  setUp(request: VolumeRequest): Promise<MountedVolume>;
  tearDown(directory: string): Promise<void>;
}
