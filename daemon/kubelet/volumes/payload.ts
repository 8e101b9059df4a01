import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { isApiError } from '../../apimachinery/api-error.ts';
import type { DownwardAPIVolumeFile, KeyToPath } from '../../apimachinery/types/core-v1.ts';
import { fieldValue, resourceValue } from '../container/downward.ts';
import { decodeSecret } from '../container/environment.ts';
import { type Payload, type PayloadFile, writePayload } from './atomic-writer.ts';
import { applyFsGroup } from './ownership.ts';
import type { MountedVolume, VolumeRequest } from './plugin.ts';

export const DEFAULT_MODE = 0o644;

interface KeyedSource {
  readonly name: string;
  readonly items: readonly KeyToPath[] | undefined;
  readonly optional: boolean | undefined;
}

/** All keys, or those of `items` under the paths and modes they name. */
function selectKeys(
  data: ReadonlyMap<string, Buffer>,
  { items, optional }: KeyedSource,
  mode: number,
  missing: (key: string) => string,
): Payload {
  if (items === undefined || items.length === 0)
    return new Map([...data].map(([key, bytes]) => [key, { data: bytes, mode }]));
  const result = new Map<string, PayloadFile>();
  for (const item of items) {
    const bytes = data.get(item.key);
    if (bytes !== undefined) result.set(item.path, { data: bytes, mode: item.mode ?? mode });
    else if (optional !== true) throw new Error(missing(item.key));
  }
  return result;
}

async function unlessOptional<T>(optional: boolean | undefined, object: Promise<T>): Promise<T | undefined> {
  try {
    return await object;
  } catch (error) {
    if (optional === true && isApiError(error, 'NotFound')) return undefined;
    throw error;
  }
}

export async function configMapPayload(request: VolumeRequest, source: KeyedSource, mode: number): Promise<Payload> {
  const namespace = request.pod.metadata?.namespace ?? '';
  const map = await unlessOptional(source.optional, request.sources.configMap(namespace, source.name));
  const data = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(map?.data ?? {})) data.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(map?.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'));
  return selectKeys(data, source, mode, (key) => `configmap references non-existent config key: ${key}`);
}

export async function secretPayload(request: VolumeRequest, source: KeyedSource, mode: number): Promise<Payload> {
  const namespace = request.pod.metadata?.namespace ?? '';
  const secret = await unlessOptional(source.optional, request.sources.secret(namespace, source.name));
  const data = new Map(Object.entries(secret?.data ?? {}).map(([key, value]) => [key, decodeSecret(value)]));
  return selectKeys(data, source, mode, (key) => `references non-existent secret key: ${key}`);
}

export function downwardPayload(
  { pod, facts }: VolumeRequest,
  items: readonly DownwardAPIVolumeFile[] | undefined,
  mode: number,
): Payload {
  const result = new Map<string, PayloadFile>();
  for (const item of items ?? []) {
    const text =
      item.fieldRef !== undefined
        ? fieldValue(pod, item.fieldRef.fieldPath, facts)
        : item.resourceFieldRef !== undefined
          ? resourceValue(pod, item.resourceFieldRef, facts)
          : '';
    result.set(item.path, { data: Buffer.from(text), mode: item.mode ?? mode });
  }
  return result;
}

/** Writes the payload into the volume's directory, owned as the pod asks. */
export async function writeVolume(request: VolumeRequest, payload: Payload, user?: number): Promise<MountedVolume> {
  await writePayload(request.directory, payload, async (version) => {
    if (user !== undefined) for (const path of payload.keys()) await chown(join(version, path), user, -1);
    await applyFsGroup(request.pod, version, true);
  });
  return { path: request.directory, readOnly: true };
}
