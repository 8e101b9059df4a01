import {
  ContainerState,
  ContainerStats,
  ContainerStatus,
  Image,
  NamespaceMode,
  type PodSandbox,
  PodSandboxState,
  PodSandboxStatus,
} from '../../proto/generated/cri/runtime/v1/api.ts';
import {
  type Container,
  type ContainerConfig,
  type ContainerRuntime,
  type ExecResult,
  type PodSandboxConfig,
  RuntimeError,
} from './runtime.ts';

export interface HollowOptions {
  /** Names of images that need not be pulled. */
  readonly images?: readonly string[];
  /** Answers `execSync`; default: exit code 0, no output. */
  readonly exec?: (container: string, command: readonly string[]) => Partial<ExecResult>;
  /** Decides about pulls: throw to fail one. */
  readonly pull?: (image: string) => void;
  /** First two bytes of pod addresses. */
  readonly network?: string;
}

interface HollowContainer {
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  status: ContainerStatus;
}

interface HollowSandbox {
  readonly config: PodSandboxConfig;
  status: PodSandboxStatus;
}

type Filter = { id?: string; labelSelector?: Record<string, string> };

function matches(filter: Filter | undefined, id: string, labels: Record<string, string>): boolean {
  if (filter === undefined) return true;
  if (filter.id !== undefined && filter.id !== '' && filter.id !== id) return false;
  return Object.entries(filter.labelSelector ?? {}).every(([key, value]) => labels[key] === value);
}

const SIGKILLED = 137;

/**
 * A runtime that runs nothing: sandboxes, containers and images are entries in memory. For unit tests, and for clusters of
 * many nodes on one machine. It keeps the rules of a real one: names are taken once, a container needs a ready sandbox and
 * a present image, what has exited stays until it is removed.
 */
export class HollowRuntime implements ContainerRuntime {
  readonly sandboxes = new Map<string, HollowSandbox>();
  readonly containers = new Map<string, HollowContainer>();
  readonly images = new Map<string, Image>();
  /** Every call that changes something, as `verb name`, in order. */
  readonly journal: string[] = [];
  readonly #options: HollowOptions;
  #next = 1;
  #clock = 0n;

  constructor(options: HollowOptions = {}) {
    this.#options = options;
    for (const image of options.images ?? []) this.addImage(image);
  }

  addImage(name: string): void {
    const id = `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)}`;
    this.images.set(name, Image.fromPartial({ id, repoTags: [name], size: 1000n }));
  }

  /** The running container of that name, in any pod. Throws when there is none. */
  running(name: string): ContainerStatus {
    for (const { status } of this.containers.values())
      if (status.metadata?.name === name && status.state === ContainerState.CONTAINER_RUNNING) return status;
    throw new Error(`no container ${name} is running`);
  }

  /** Ends a container as if its process had exited. */
  exit(id: string, exitCode: number): void {
    const container = this.#container(id);
    if (container.status.state !== ContainerState.CONTAINER_RUNNING) return;
    container.status = {
      ...container.status,
      state: ContainerState.CONTAINER_EXITED,
      exitCode,
      finishedAt: this.#now(),
      reason: exitCode === 0 ? 'Completed' : 'Error',
    };
  }

  /** Takes a sandbox down as if the host had been rebooted. */
  loseSandbox(id: string): void {
    const sandbox = this.#sandbox(id);
    sandbox.status = { ...sandbox.status, state: PodSandboxState.SANDBOX_NOTREADY };
    for (const [containerId, { sandboxId }] of this.containers) if (sandboxId === id) this.exit(containerId, 255);
  }

  /** Nanoseconds; no two are the same, so that the order of creation is known. */
  #now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#clock = now > this.#clock ? now : this.#clock + 1n;
    return this.#clock;
  }

  #id(kind: string): string {
    return `${kind}${String(this.#next++).padStart(8, '0')}`;
  }

  #sandbox(id: string): HollowSandbox {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined)
      throw new RuntimeError('NotFound', `an error occurred when try to find sandbox: not found`);
    return sandbox;
  }

  #container(id: string): HollowContainer {
    const container = this.containers.get(id);
    if (container === undefined)
      throw new RuntimeError('NotFound', `an error occurred when try to find container "${id}": not found`);
    return container;
  }

  async version() {
    return { version: '0.1.0', runtimeName: 'hollow', runtimeVersion: '1.0.0', runtimeApiVersion: 'v1' };
  }

  async status() {
    return ['RuntimeReady', 'NetworkReady'].map((type) => ({ type, status: true, reason: '', message: '' }));
  }

  async updatePodCidr(): Promise<void> {}

  async runPodSandbox(config: PodSandboxConfig): Promise<string> {
    const { metadata } = config;
    const name = `${metadata?.name}_${metadata?.namespace}_${metadata?.uid}_${metadata?.attempt}`;
    for (const { config: other } of this.sandboxes.values())
      if (other.metadata?.uid === metadata?.uid && other.metadata?.attempt === metadata?.attempt)
        throw new RuntimeError('Unknown', `failed to reserve sandbox name "${name}": name "${name}" is reserved`);
    const id = this.#id('sandbox');
    const number = this.#next;
    const network = config.linux?.securityContext?.namespaceOptions?.network ?? NamespaceMode.POD;
    const ip = `${this.#options.network ?? '10.200'}.${(number >> 8) & 255}.${number & 255}`;
    this.sandboxes.set(id, {
      config,
      status: PodSandboxStatus.fromPartial({
        id,
        metadata,
        state: PodSandboxState.SANDBOX_READY,
        createdAt: this.#now(),
        network: { ip: network === NamespaceMode.NODE ? '' : ip, additionalIps: [] },
        linux: { namespaces: { options: { network } } },
        labels: config.labels,
        annotations: config.annotations,
      }),
    });
    this.journal.push(`run ${name}`);
    return id;
  }

  async stopPodSandbox(id: string): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined || sandbox.status.state === PodSandboxState.SANDBOX_NOTREADY) return;
    for (const [containerId, { sandboxId }] of this.containers) if (sandboxId === id) this.exit(containerId, SIGKILLED);
    sandbox.status = { ...sandbox.status, state: PodSandboxState.SANDBOX_NOTREADY };
    this.journal.push(`stop ${sandbox.config.metadata?.name}`);
  }

  async removePodSandbox(id: string): Promise<void> {
    await this.stopPodSandbox(id);
    for (const [containerId, { sandboxId }] of this.containers)
      if (sandboxId === id) this.containers.delete(containerId);
    this.sandboxes.delete(id);
  }

  async podSandboxStatus(id: string): Promise<PodSandboxStatus> {
    return this.#sandbox(id).status;
  }

  async listPodSandboxes(filter?: Filter): Promise<PodSandbox[]> {
    return [...this.sandboxes.values()]
      .map(({ status }) => status)
      .filter(({ id, labels }) => matches(filter, id, labels))
      .map(
        ({ id, metadata, state, createdAt, labels, annotations, runtimeHandler }): PodSandbox => ({
          id,
          metadata,
          state,
          createdAt,
          labels,
          annotations,
          runtimeHandler,
        }),
      );
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<string> {
    const sandbox = this.#sandbox(sandboxId);
    if (sandbox.status.state !== PodSandboxState.SANDBOX_READY)
      throw new RuntimeError('Unknown', `sandbox container "${sandboxId}" is not running`);
    const wanted = config.image?.image ?? '';
    const image = await this.imageStatus(wanted);
    if (image === undefined) throw new RuntimeError('NotFound', `failed to resolve image "${wanted}": not found`);
    for (const other of this.containers.values())
      if (
        other.sandboxId === sandboxId &&
        other.config.metadata?.name === config.metadata?.name &&
        other.config.metadata?.attempt === config.metadata?.attempt
      )
        throw new RuntimeError(
          'Unknown',
          `failed to reserve container name "${config.metadata?.name}": name is reserved`,
        );
    const id = this.#id('container');
    this.containers.set(id, {
      sandboxId,
      config,
      status: ContainerStatus.fromPartial({
        id,
        metadata: config.metadata,
        state: ContainerState.CONTAINER_CREATED,
        createdAt: this.#now(),
        image: { image: image.repoTags[0] ?? wanted },
        imageRef: image.id,
        labels: config.labels,
        annotations: config.annotations,
        mounts: config.mounts,
        logPath: `${sandbox.config.logDirectory}/${config.logPath}`,
      }),
    });
    this.journal.push(`create ${config.metadata?.name} ${config.metadata?.attempt}`);
    return id;
  }

  async startContainer(id: string): Promise<void> {
    const container = this.#container(id);
    if (container.status.state !== ContainerState.CONTAINER_CREATED)
      throw new RuntimeError('Unknown', `container "${id}" is in state ${container.status.state}`);
    container.status = { ...container.status, state: ContainerState.CONTAINER_RUNNING, startedAt: this.#now() };
    this.journal.push(`start ${container.config.metadata?.name} ${container.config.metadata?.attempt}`);
  }

  async stopContainer(id: string): Promise<void> {
    if (!this.containers.has(id)) return;
    this.journal.push(`kill ${this.#container(id).config.metadata?.name}`);
    this.exit(id, SIGKILLED);
  }

  async removeContainer(id: string): Promise<void> {
    this.containers.delete(id);
  }

  async listContainers(filter?: Filter & { podSandboxId?: string; state?: { state: number } | undefined }) {
    return [...this.containers.values()]
      .filter(({ status }) => matches(filter, status.id, status.labels))
      .filter(({ status }) => filter?.state === undefined || filter.state.state === status.state)
      .map(
        ({ sandboxId, status }): Container => ({
          id: status.id,
          podSandboxId: sandboxId,
          metadata: status.metadata,
          image: status.image,
          imageRef: status.imageRef,
          imageId: status.imageId,
          state: status.state,
          createdAt: status.createdAt,
          labels: status.labels,
          annotations: status.annotations,
        }),
      );
  }

  async containerStatus(id: string): Promise<ContainerStatus> {
    return this.#container(id).status;
  }

  async updateContainerResources(): Promise<void> {}
  async reopenContainerLog(): Promise<void> {}

  async execSync(id: string, command: readonly string[]): Promise<ExecResult> {
    const { config } = this.#container(id);
    const answer = this.#options.exec?.(config.metadata?.name ?? '', command);
    return { exitCode: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), ...answer };
  }

  async exec(): Promise<string> {
    throw new RuntimeError('Unimplemented', 'a hollow container runs nothing');
  }

  attach = this.exec;
  portForward = this.exec;

  async listContainerStats(): Promise<ContainerStats[]> {
    return [...this.containers.values()]
      .filter(({ status }) => status.state === ContainerState.CONTAINER_RUNNING)
      .map(({ status }) =>
        ContainerStats.fromPartial({
          attributes: { id: status.id, metadata: status.metadata, labels: status.labels, annotations: {} },
          cpu: { timestamp: this.#now(), usageCoreNanoSeconds: { value: 1_000_000n } },
          memory: { timestamp: this.#now(), workingSetBytes: { value: 1_048_576n } },
        }),
      );
  }

  async listPodSandboxStats() {
    return [];
  }

  async listImages(): Promise<Image[]> {
    return [...this.images.values()];
  }

  async imageStatus(name: string): Promise<Image | undefined> {
    return this.images.get(name) ?? [...this.images.values()].find(({ id }) => id === name);
  }

  async pullImage(image: string): Promise<string> {
    this.#options.pull?.(image);
    this.addImage(image);
    this.journal.push(`pull ${image}`);
    return this.images.get(image)?.id ?? image;
  }

  async removeImage(name: string): Promise<void> {
    for (const [key, { id }] of this.images) if (key === name || id === name) this.images.delete(key);
    this.journal.push(`remove-image ${name}`);
  }

  async imageFsInfo() {
    return [];
  }

  close(): void {}
}
