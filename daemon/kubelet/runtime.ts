import type {
  Container,
  ContainerConfig,
  ContainerFilter,
  ContainerStats,
  ContainerStatus,
  FilesystemUsage,
  Image,
  LinuxContainerResources,
  PodSandbox,
  PodSandboxConfig,
  PodSandboxFilter,
  PodSandboxStats,
  PodSandboxStatus,
  RuntimeCondition,
  VersionResponse,
} from '../../proto/generated/cri/runtime/v1/api.ts';

export type {
  Container,
  ContainerConfig,
  ContainerStats,
  ContainerStatus,
  FilesystemUsage,
  Image,
  LinuxContainerResources,
  PodSandbox,
  PodSandboxConfig,
  PodSandboxStats,
  PodSandboxStatus,
  RuntimeCondition,
} from '../../proto/generated/cri/runtime/v1/api.ts';

export interface ExecResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

export interface ExecOptions {
  readonly containerId: string;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serverAddress?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

/**
 * What runs pods: the services of the Container Runtime Interface, v1. Times are nanoseconds and absent values zero, as on
 * the wire. Removing or stopping what is gone already succeeds. Every failure is a `RuntimeError`.
 */
export interface ContainerRuntime {
  version(): Promise<VersionResponse>;
  /** `RuntimeReady` and `NetworkReady`. */
  status(): Promise<readonly RuntimeCondition[]>;
  updatePodCidr(podCidr: string): Promise<void>;

  runPodSandbox(config: PodSandboxConfig, runtimeHandler: string): Promise<string>;
  stopPodSandbox(id: string): Promise<void>;
  removePodSandbox(id: string): Promise<void>;
  podSandboxStatus(id: string): Promise<PodSandboxStatus>;
  listPodSandboxes(filter?: Partial<PodSandboxFilter>): Promise<readonly PodSandbox[]>;

  createContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string>;
  startContainer(id: string): Promise<void>;
  /** SIGTERM (or the image's stop signal), and SIGKILL after `timeoutSeconds`. */
  stopContainer(id: string, timeoutSeconds: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  listContainers(filter?: Partial<ContainerFilter>): Promise<readonly Container[]>;
  containerStatus(id: string): Promise<ContainerStatus>;
  updateContainerResources(id: string, resources: LinuxContainerResources): Promise<void>;
  reopenContainerLog(id: string): Promise<void>;

  /** Runs to the end and collects the output; `timeoutSeconds` 0 means no limit, and running over it is DEADLINE_EXCEEDED. */
  execSync(id: string, command: readonly string[], timeoutSeconds: number): Promise<ExecResult>;
  /** These three yield the URL of the runtime's streaming server to connect the client to. */
  exec(options: ExecOptions): Promise<string>;
  attach(options: Omit<ExecOptions, 'command'>): Promise<string>;
  portForward(sandboxId: string, ports: readonly number[]): Promise<string>;

  listContainerStats(): Promise<readonly ContainerStats[]>;
  listPodSandboxStats(): Promise<readonly PodSandboxStats[]>;

  listImages(): Promise<readonly Image[]>;
  /** Undefined when the node does not have it. */
  imageStatus(image: string): Promise<Image | undefined>;
  /** Resolves to the reference to create containers from. */
  pullImage(image: string, auth: RegistryAuth | undefined, sandbox: PodSandboxConfig): Promise<string>;
  removeImage(image: string): Promise<void>;
  imageFsInfo(): Promise<readonly FilesystemUsage[]>;
  close(): void;
}

/** gRPC status codes, as Go names them in messages. */
export const rpcCodes = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;

export type RpcCode = (typeof rpcCodes)[number];

/** A failed call; its message has the form that users know from the original's events. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RpcCode;
  readonly details: string;

  constructor(code: RpcCode, details: string) {
    super(`rpc error: code = ${code} desc = ${details}`);
    this.code = code;
    this.details = details;
  }
}

export function isRuntimeError(error: unknown, code?: RpcCode): error is RuntimeError {
  return error instanceof RuntimeError && (code === undefined || error.code === code);
}
