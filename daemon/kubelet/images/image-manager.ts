import { formatDuration } from '../../apimachinery/duration.ts';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { BackOff } from '../back-off.ts';
import type { ConfigSource } from '../container/environment.ts';
import { uidOf } from '../container/labels.ts';
import type { KubeletEvents } from '../events.ts';
import type { ContainerRuntime, Image, PodSandboxConfig } from '../runtime.ts';
import { pullCredentials } from './pull-secrets.ts';
import { registryOf, withDefaultTag } from './reference.ts';

/** Images of this registry come with the node and are nowhere else: they are never pulled. */
const LOCAL_REGISTRY = 'balsa.local';

const BACK_OFF_MS = { initial: 10_000, max: 300_000 };

export type ImageErrorReason =
  | 'InvalidImageName'
  | 'ImageInspectError'
  | 'ErrImageNeverPull'
  | 'ErrImagePull'
  | 'ImagePullBackOff';

/** Why a container waits for its image: reason and message of its waiting state. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly reason: ImageErrorReason;
  /** When it is worth trying again, in milliseconds from now. */
  readonly retryMs: number | undefined;

  constructor(reason: ImageErrorReason, message: string, retryMs?: number) {
    super(message);
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

export interface EnsuredImage {
  readonly image: Image;
  /** What to create the container from. */
  readonly ref: string;
}

export interface ImageManager {
  /** Makes sure the node has the container's image, as its pull policy says. Rejects with an ImageError. */
  ensure(pod: Pod, container: Container, sandbox: PodSandboxConfig): Promise<EnsuredImage>;
}

const quoted = (text: string): string => JSON.stringify(text);

export function createImageManager(
  runtime: ContainerRuntime,
  config: ConfigSource,
  events: KubeletEvents,
): ImageManager {
  const backOff = new BackOff(BACK_OFF_MS.initial, BACK_OFF_MS.max);
  const lastErrors = new Map<string, string>();
  /** Pulls run one after the other, as by default in the original: they share one disk and one line. */
  let queue: Promise<unknown> = Promise.resolve();

  function inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = queue.then(action, action);
    queue = result.catch(() => undefined);
    return result;
  }

  async function inspect(pod: Pod, container: Container, image: string): Promise<Image | undefined> {
    try {
      return await runtime.imageStatus(image);
    } catch (error) {
      const message = `Failed to inspect image ${quoted(image)}: ${(error as Error).message}`;
      events.container(pod, container, 'Warning', 'InspectFailed', message);
      throw new ImageError('ImageInspectError', message);
    }
  }

  async function pull(pod: Pod, container: Container, image: string, sandbox: PodSandboxConfig): Promise<string> {
    const credentials = await pullCredentials(pod, image, config);
    let last: unknown;
    for (const auth of credentials.length === 0 ? [undefined] : credentials) {
      try {
        return await runtime.pullImage(image, auth, sandbox);
      } catch (error) {
        last = error;
      }
    }
    const message = (last as Error).message;
    events.container(pod, container, 'Warning', 'Failed', `Failed to pull image ${quoted(image)}: ${message}`);
    throw new ImageError('ErrImagePull', message);
  }

  async function pullWithBackOff(pod: Pod, container: Container, image: string, sandbox: PodSandboxConfig) {
    const key = `${uidOf(pod)}_${image}`;
    const wait = backOff.remainingSinceFailure(key);
    if (wait > 0) {
      const message = `Back-off pulling image ${quoted(image)}`;
      events.container(pod, container, 'Normal', 'BackOff', message);
      const cause = lastErrors.get(key);
      throw new ImageError(
        'ImagePullBackOff',
        cause === undefined ? message : `${message}: ErrImagePull: ${cause}`,
        wait,
      );
    }
    const asked = Date.now();
    return inTurn(async () => {
      const began = Date.now();
      events.container(pod, container, 'Normal', 'Pulling', `Pulling image ${quoted(image)}`);
      try {
        const ref = await pull(pod, container, image, sandbox);
        const found = await inspect(pod, container, ref);
        const took = formatDuration(Date.now() - began);
        const total = formatDuration(Date.now() - asked);
        const size = found?.size ?? 0n;
        events.container(
          pod,
          container,
          'Normal',
          'Pulled',
          `Successfully pulled image ${quoted(image)} in ${took} (${total} including waiting). Image size: ${size} bytes.`,
        );
        backOff.forget(key);
        lastErrors.delete(key);
        if (found === undefined) throw new ImageError('ImageInspectError', `Failed to inspect image ${quoted(image)}`);
        return { image: found, ref };
      } catch (error) {
        backOff.next(key);
        lastErrors.set(key, (error as Error).message);
        throw error;
      }
    });
  }

  return {
    async ensure(pod, container, sandbox) {
      const written = container.image ?? '';
      const image = withDefaultTag(written);
      if (image === undefined) {
        const why = `couldn't parse image name ${quoted(written)}: invalid reference format`;
        const message = `Failed to apply default image tag ${quoted(written)}: ${why}`;
        events.container(pod, container, 'Warning', 'InspectFailed', message);
        throw new ImageError('InvalidImageName', message);
      }
      const policy = container.imagePullPolicy ?? (image.endsWith(':latest') ? 'Always' : 'IfNotPresent');
      const present = await inspect(pod, container, image);
      const local = policy !== 'Always' || registryOf(image) === LOCAL_REGISTRY;
      if (present !== undefined && local) {
        events.container(
          pod,
          container,
          'Normal',
          'Pulled',
          `Container image ${quoted(written)} already present on machine and can be accessed by the pod`,
        );
        return { image: present, ref: present.id };
      }
      if (policy === 'Never') {
        const message = `Container image ${quoted(image)} is not present with pull policy of Never`;
        events.container(pod, container, 'Warning', 'ErrImageNeverPull', message);
        throw new ImageError('ErrImageNeverPull', message);
      }
      return pullWithBackOff(pod, container, image, sandbox);
    },
  };
}
