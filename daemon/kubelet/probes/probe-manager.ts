import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { uidOf } from '../container/labels.ts';
import type { KubeletEvents } from '../events.ts';
import { isRunning, type PodRuntime, sandboxIps } from '../pods/pod-runtime.ts';
import { isSidecar } from '../pods/restart-policy.ts';
import type { ContainerRuntime } from '../runtime.ts';
import { ProbeWorker } from './probe-worker.ts';
import type { ProbeKind, ProbeOutcome, ProbeResults } from './results.ts';

const kinds = ['startup', 'liveness', 'readiness'] as const satisfies readonly ProbeKind[];
/** After a restart of the kubelet a container is what it was found to be before, until a probe says otherwise. */
function knownOutcome(pod: Pod, { name }: Container, id: string, kind: ProbeKind): ProbeOutcome | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const status = [...containerStatuses, ...initContainerStatuses].find((one) => one.name === name);
  if (status === undefined || !status.containerID?.endsWith(`//${id}`)) return undefined;
  const found = { startup: status.started === true, readiness: status.ready, liveness: false }[kind];
  return found ? 'success' : undefined;
}

const probeOf = (container: Container, kind: ProbeKind) => container[`${kind}Probe`];

/** Runs the probes of all running containers of this node. */
export class ProbeManager implements ProbeResults {
  readonly #runtime: ContainerRuntime;
  readonly #events: KubeletEvents;
  readonly #hostIps: readonly string[];
  readonly #onChange: (uid: string) => void;
  /** Pod uid -> `kind/container id` -> worker. */
  readonly #workers = new Map<string, Map<string, ProbeWorker>>();
  /** `kind/container id` -> worker, of all pods. */
  readonly #byContainer = new Map<string, ProbeWorker>();

  constructor(options: {
    runtime: ContainerRuntime;
    events: KubeletEvents;
    hostIps: readonly string[];
    /** A result of one of the pod's probes has changed. */
    onChange: (uid: string) => void;
  }) {
    this.#runtime = options.runtime;
    this.#events = options.events;
    this.#hostIps = options.hostIps;
    this.#onChange = options.onChange;
  }

  liveness = (id: string): ProbeOutcome => this.#outcome('liveness', id);
  readiness = (id: string): ProbeOutcome => this.#outcome('readiness', id);
  startup = (id: string): ProbeOutcome => this.#outcome('startup', id);

  #outcome(kind: ProbeKind, id: string): ProbeOutcome {
    return this.#byContainer.get(`${kind}/${id}`)?.outcome ?? 'unknown';
  }

  /** Starts probes of containers that run, and ends those of containers that no longer do. */
  update(pod: Pod, runtime: PodRuntime): void {
    const uid = uidOf(pod);
    const workers = this.#workers.get(uid) ?? new Map<string, ProbeWorker>();
    this.#workers.set(uid, workers);
    const wanted = new Set<string>();
    const [podIp = ''] = pod.spec?.hostNetwork === true ? this.#hostIps : sandboxIps(runtime);
    const candidates = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter(isSidecar)];
    for (const container of candidates) {
      const running = runtime.containers.find((one) => one.name === container.name);
      if (running === undefined || !isRunning(running)) continue;
      const { id, startedAt } = running.status;
      for (const kind of kinds) {
        const probe = probeOf(container, kind);
        if (probe === undefined) continue;
        const key = `${kind}/${id}`;
        wanted.add(key);
        if (workers.has(key)) continue;
        const worker = new ProbeWorker({
          kind,
          probe,
          target: { pod, container, containerId: id, startedAtMs: Number(startedAt / 1_000_000n), podIp },
          runtime: this.#runtime,
          events: this.#events,
          before: knownOutcome(pod, container, id, kind),
          started: () => container.startupProbe === undefined || this.startup(id) === 'success',
          onChange: () => this.#onChange(uid),
        });
        workers.set(key, worker);
        this.#byContainer.set(key, worker);
      }
    }
    for (const [key, worker] of workers) if (!wanted.has(key)) this.#end(workers, key, worker);
  }

  /** A pod on its way out is not probed for its life any more. */
  stopLiveness(uid: string): void {
    const workers = this.#workers.get(uid) ?? new Map<string, ProbeWorker>();
    for (const [key, worker] of workers) if (!key.startsWith('readiness/')) worker.stop();
  }

  forget(uid: string): void {
    const workers = this.#workers.get(uid) ?? new Map<string, ProbeWorker>();
    for (const [key, worker] of workers) this.#end(workers, key, worker);
    this.#workers.delete(uid);
  }

  stop(): void {
    for (const uid of [...this.#workers.keys()]) this.forget(uid);
  }

  #end(workers: Map<string, ProbeWorker>, key: string, worker: ProbeWorker): void {
    worker.stop();
    workers.delete(key);
    this.#byContainer.delete(key);
  }
}
