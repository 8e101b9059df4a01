import type { Container, Pod, Probe } from '../../apimachinery/types/core-v1.ts';
import { expand } from '../container/expansion.ts';
import type { KubeletEvents } from '../events.ts';
import type { ContainerRuntime } from '../runtime.ts';
import { type Finding, probeExec, probeGrpc, probeHttp, probeTcp, resolvePort } from './handlers.ts';
import type { ProbeKind, ProbeOutcome } from './results.ts';

const ATTEMPTS = 3;

export interface ProbeTarget {
  readonly pod: Pod;
  readonly container: Container;
  readonly containerId: string;
  readonly startedAtMs: number;
  readonly podIp: string;
}

export interface ProbeWorkerOptions {
  readonly kind: ProbeKind;
  readonly probe: Probe;
  readonly target: ProbeTarget;
  readonly runtime: ContainerRuntime;
  readonly events: KubeletEvents;
  /** What an earlier kubelet found out about this very container. */
  readonly before?: ProbeOutcome | undefined;
  /** Liveness and readiness wait until the startup probe has succeeded. */
  readonly started: () => boolean;
  readonly onChange: () => void;
}

async function probeOnce(options: ProbeWorkerOptions): Promise<Finding> {
  const { probe, target, runtime } = options;
  const { container, podIp } = target;
  const seconds = probe.timeoutSeconds ?? 1;
  if (probe.exec !== undefined) {
    const environment = new Map((container.env ?? []).map(({ name, value }) => [name, value]));
    const command = (probe.exec.command ?? []).map((word) => expand(word, (name) => environment.get(name)));
    return probeExec(runtime, target.containerId, command, seconds);
  }
  if (probe.httpGet !== undefined) return probeHttp(probe.httpGet, container, podIp, seconds * 1000);
  if (probe.tcpSocket !== undefined) {
    const { host, port } = probe.tcpSocket;
    return probeTcp(host === undefined || host === '' ? podIp : host, resolvePort(port, container), seconds * 1000);
  }
  if (probe.grpc !== undefined) return probeGrpc(podIp, probe.grpc.port, probe.grpc.service ?? '', seconds * 1000);
  throw new Error(`missing probe handler for ${target.pod.metadata?.name}:${container.name}`);
}

const initial: Readonly<Record<ProbeKind, ProbeOutcome>> = {
  liveness: 'success',
  readiness: 'failure',
  startup: 'unknown',
};
const title = (kind: ProbeKind): string => `${kind[0]?.toUpperCase()}${kind.slice(1)}`;

/** Probes one container of one kind, until it is stopped or the probe has brought the container to its end. */
export class ProbeWorker {
  readonly #options: ProbeWorkerOptions;
  #outcome: ProbeOutcome;
  #last: ProbeOutcome | undefined;
  #run = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ProbeWorkerOptions) {
    this.#options = options;
    this.#outcome = options.before ?? initial[options.kind];
    const { probe, target } = options;
    if (options.kind === 'startup' && this.#outcome === 'success') return;
    const due = target.startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000;
    this.#schedule(Math.max(0, due - Date.now()));
  }

  get outcome(): ProbeOutcome {
    return this.#outcome;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#tick(), ms);
    this.#timer.unref();
  }

  async #tick(): Promise<void> {
    const { kind, probe, started } = this.#options;
    const period = (probe.periodSeconds ?? 10) * 1000;
    if (kind !== 'startup' && !started()) {
      // Soon enough after the startup probe's success, whatever this probe's own period is.
      this.#schedule(Math.min(period, 1000));
      return;
    }
    const began = Date.now();
    const finding = await this.#attempt();
    if (this.#stopped) return;
    if (!this.#note(finding)) this.#schedule(Math.max(0, period - (Date.now() - began)));
  }

  async #attempt(): Promise<Finding> {
    const { kind, target, events } = this.#options;
    let finding: Finding = { outcome: 'unknown', output: '' };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      finding = await probeOnce(this.#options).catch(
        (error: unknown): Finding => ({ outcome: 'unknown', output: (error as Error).message }),
      );
      if (finding.outcome !== 'unknown' || this.#stopped) break;
    }
    if (this.#stopped || finding.outcome === 'success') return finding;
    const message =
      finding.outcome === 'failure'
        ? `${title(kind)} probe failed: ${finding.output}`
        : `${title(kind)} probe errored and resulted in unknown state: ${finding.output}`;
    events.container(target.pod, target.container, 'Warning', 'Unhealthy', message);
    return finding;
  }

  /** Counts a result towards its threshold. True when there is nothing left for this probe to do. */
  #note({ outcome }: Finding): boolean {
    const { kind, probe, onChange } = this.#options;
    // No answer at all says nothing about the container.
    if (outcome === 'unknown') return false;
    this.#run = outcome === this.#last ? this.#run + 1 : 1;
    this.#last = outcome;
    const threshold = outcome === 'success' ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    if (this.#run < threshold) return false;
    const changed = this.#outcome !== outcome;
    this.#outcome = outcome;
    if (changed) onChange();
    // A failure ends the container; a startup probe is needed no more once it has succeeded.
    return (kind !== 'readiness' && outcome === 'failure') || kind === 'startup';
  }
}
