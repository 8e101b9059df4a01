import { Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  AuthConfig,
  ContainerFilter,
  ImageSpec,
  ImageServiceService as Images,
  PodSandboxFilter,
  RuntimeServiceService as Runtime,
} from '../../proto/generated/cri/runtime/v1/api.ts';
import { type ContainerRuntime, isRuntimeError, RuntimeError, rpcCodes } from './runtime.ts';

const DEFAULT_TIMEOUT_MS = 120_000;
/** A runtime that cannot say within this time how it is counts as down. */
const STATUS_TIMEOUT_MS = 10_000;
/** Sandboxes wait for CNI plugins, which may be slow. */
const SANDBOX_TIMEOUT_MS = 240_000;
/** containerd itself gives up on a pull that makes no progress. */
const PULL_TIMEOUT_MS = 3_600_000;

const channelOptions = {
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
};

/** One unary method of a generated service definition. */
interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

async function ignoreNotFound(action: Promise<unknown>): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!isRuntimeError(error, 'NotFound')) throw error;
  }
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RuntimeError('Internal', `the runtime answered without ${what}`);
  return value;
}

/** The CRI v1 runtime behind `endpoint` (`unix:///path`). Connects on the first call and again whenever the link is lost. */
export function connectRuntime(endpoint: string): ContainerRuntime {
  const client = new Client(endpoint, credentials.createInsecure(), channelOptions);

  function call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        timeoutMs === 0 ? {} : { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null) resolve(response as Response);
          else reject(new RuntimeError(rpcCodes[error.code] ?? 'Unknown', error.details || error.message));
        },
      );
    });
  }

  const imageSpec = (image: string): ImageSpec => ImageSpec.fromPartial({ image });

  return {
    version: () => call(Runtime.version, { version: 'v1' }),
    status: async () => (await call(Runtime.status, { verbose: false }, STATUS_TIMEOUT_MS)).status?.conditions ?? [],
    async updatePodCidr(podCidr) {
      await call(Runtime.updateRuntimeConfig, { runtimeConfig: { networkConfig: { podCidr } } });
    },

    async runPodSandbox(config, runtimeHandler) {
      return (await call(Runtime.runPodSandbox, { config, runtimeHandler }, SANDBOX_TIMEOUT_MS)).podSandboxId;
    },
    stopPodSandbox: (podSandboxId) =>
      ignoreNotFound(call(Runtime.stopPodSandbox, { podSandboxId }, SANDBOX_TIMEOUT_MS)),
    removePodSandbox: (podSandboxId) => ignoreNotFound(call(Runtime.removePodSandbox, { podSandboxId })),
    async podSandboxStatus(podSandboxId) {
      const response = await call(Runtime.podSandboxStatus, { podSandboxId, verbose: false });
      return required(response.status, 'a sandbox status');
    },
    async listPodSandboxes(filter) {
      return (await call(Runtime.listPodSandbox, { filter: filter && PodSandboxFilter.fromPartial(filter) })).items;
    },

    async createContainer(podSandboxId, config, sandboxConfig) {
      return (await call(Runtime.createContainer, { podSandboxId, config, sandboxConfig })).containerId;
    },
    async startContainer(containerId) {
      await call(Runtime.startContainer, { containerId });
    },
    stopContainer: (containerId, timeoutSeconds) =>
      ignoreNotFound(
        call(
          Runtime.stopContainer,
          { containerId, timeout: BigInt(Math.max(0, Math.ceil(timeoutSeconds))) },
          timeoutSeconds * 1000 + DEFAULT_TIMEOUT_MS,
        ),
      ),
    removeContainer: (containerId) => ignoreNotFound(call(Runtime.removeContainer, { containerId })),
    async listContainers(filter) {
      return (await call(Runtime.listContainers, { filter: filter && ContainerFilter.fromPartial(filter) })).containers;
    },
    async containerStatus(containerId) {
      const response = await call(Runtime.containerStatus, { containerId, verbose: false });
      return required(response.status, 'a container status');
    },
    async updateContainerResources(containerId, linux) {
      await call(Runtime.updateContainerResources, { containerId, linux, windows: undefined, annotations: {} });
    },
    async reopenContainerLog(containerId) {
      await call(Runtime.reopenContainerLog, { containerId });
    },

    execSync: (containerId, command, timeoutSeconds) =>
      call(
        Runtime.execSync,
        { containerId, cmd: [...command], timeout: BigInt(Math.max(0, Math.ceil(timeoutSeconds))) },
        timeoutSeconds === 0 ? 0 : timeoutSeconds * 1000 + DEFAULT_TIMEOUT_MS,
      ),
    async exec({ command, ...options }) {
      return (await call(Runtime.exec, { ...options, cmd: [...command] })).url;
    },
    attach: async (options) => (await call(Runtime.attach, options)).url,
    portForward: async (podSandboxId, ports) =>
      (await call(Runtime.portForward, { podSandboxId, port: [...ports] })).url,

    listContainerStats: async () => (await call(Runtime.listContainerStats, { filter: undefined })).stats,
    listPodSandboxStats: async () => (await call(Runtime.listPodSandboxStats, { filter: undefined })).stats,

    listImages: async () => (await call(Images.listImages, { filter: undefined })).images,
    async imageStatus(image) {
      return (await call(Images.imageStatus, { image: imageSpec(image), verbose: false })).image;
    },
    async pullImage(image, auth, sandboxConfig) {
      const request = { image: imageSpec(image), auth: auth && AuthConfig.fromPartial(auth), sandboxConfig };
      return (await call(Images.pullImage, request, PULL_TIMEOUT_MS)).imageRef;
    },
    removeImage: (image) => ignoreNotFound(call(Images.removeImage, { image: imageSpec(image) })),
    imageFsInfo: async () => (await call(Images.imageFsInfo, {})).imageFilesystems,
    close: () => client.close(),
  };
}
