import { rm } from 'node:fs/promises';
import type { Payload, PayloadFile } from './atomic-writer.ts';
import { commonUser } from './ownership.ts';
import { configMapPayload, DEFAULT_MODE, downwardPayload, secretPayload, writeVolume } from './payload.ts';
import type { VolumePlugin, VolumeRequest } from './plugin.ts';

const DEFAULT_TOKEN_SECONDS = 3600;

const tearDown = (directory: string): Promise<void> => rm(directory, { recursive: true, force: true });

export const configMap: VolumePlugin = {
  name: 'kubernetes.io/configmap',
  handles: (volume) => volume.configMap !== undefined,
  async setUp(request) {
    const { name = '', items, optional, defaultMode = DEFAULT_MODE } = request.volume.configMap ?? {};
    return writeVolume(request, await configMapPayload(request, { name, items, optional }, defaultMode));
  },
  tearDown,
};

export const secret: VolumePlugin = {
  name: 'kubernetes.io/secret',
  handles: (volume) => volume.secret !== undefined,
  async setUp(request) {
    const { secretName = '', items, optional, defaultMode = DEFAULT_MODE } = request.volume.secret ?? {};
    return writeVolume(request, await secretPayload(request, { name: secretName, items, optional }, defaultMode));
  },
  tearDown,
};

export const downwardApi: VolumePlugin = {
  name: 'kubernetes.io/downward-api',
  handles: (volume) => volume.downwardAPI !== undefined,
  setUp(request) {
    const { items, defaultMode = DEFAULT_MODE } = request.volume.downwardAPI ?? {};
    return writeVolume(request, downwardPayload(request, items, defaultMode));
  },
  tearDown,
};

/** A token is for its reader alone where the pod says who that is. */
function tokenMode(request: VolumeRequest, defaultMode: number): number {
  const restricted = request.pod.spec?.securityContext?.fsGroup !== undefined || commonUser(request.pod) !== undefined;
  return restricted ? 0o600 : defaultMode;
}

async function projectedPayload(request: VolumeRequest): Promise<Payload> {
  const { sources = [], defaultMode = DEFAULT_MODE } = request.volume.projected ?? {};
  const result = new Map<string, PayloadFile>();
  const add = (payload: Payload): void => {
    for (const [path, file] of payload) result.set(path, file);
  };
  for (const { configMap, secret, downwardAPI, serviceAccountToken } of sources) {
    if (configMap !== undefined) {
      const { name = '', items, optional } = configMap;
      add(await configMapPayload(request, { name, items, optional }, defaultMode));
    } else if (secret !== undefined) {
      const { name = '', items, optional } = secret;
      add(await secretPayload(request, { name, items, optional }, defaultMode));
    } else if (downwardAPI !== undefined) {
      add(downwardPayload(request, downwardAPI.items, defaultMode));
    } else if (serviceAccountToken !== undefined) {
      const { audience, expirationSeconds = DEFAULT_TOKEN_SECONDS, path } = serviceAccountToken;
      const token = await request.sources.serviceAccountToken(request.pod, audience, expirationSeconds);
      add(new Map([[path, { data: Buffer.from(token), mode: tokenMode(request, defaultMode) }]]));
    }
  }
  return result;
}

export const projected: VolumePlugin = {
  name: 'kubernetes.io/projected',
  handles: (volume) => volume.projected !== undefined,
  async setUp(request) {
    const hasToken = (request.volume.projected?.sources ?? []).some((one) => one.serviceAccountToken !== undefined);
    return writeVolume(request, await projectedPayload(request), hasToken ? commonUser(request.pod) : undefined);
  },
  tearDown,
};
