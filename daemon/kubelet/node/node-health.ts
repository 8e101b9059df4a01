import type { ContainerRuntime } from '../runtime.ts';
import type { Pressures } from './node-status.ts';

/** Without a list from the runtime for this long, what pods do is not known. */
const LIST_TOO_OLD_MS = 180_000;

/** Whether this node can run pods: the runtime, its network, and pressure on memory, disk and process ids. */
export class NodeHealth {
  readonly #runtime: ContainerRuntime;
  readonly #listAge: () => number;
  pressures: Pressures = { memory: false, disk: false, pid: false };
  /** Why pods cannot have a network; undefined when they can. */
  networkProblem: string | undefined = 'not yet known';
  /** Whether the runtime answered when it was last asked. */
  runtimeAnswers = false;
  onNetworkReady: () => void = () => {};

  constructor(runtime: ContainerRuntime, listAge: () => number) {
    this.#runtime = runtime;
    this.#listAge = listAge;
  }

  /** Asks the runtime. Resolves to the message of a Ready condition that is False, or to undefined. */
  async check(): Promise<string | undefined> {
    const problems: string[] = [];
    try {
      const conditions = await this.#runtime.status();
      this.runtimeAnswers = true;
      const find = (type: string) => conditions.find((condition) => condition.type === type);
      const ready = find('RuntimeReady');
      if (ready?.status !== true)
        problems.push(
          `container runtime not ready: RuntimeReady=${ready?.status ?? false} reason:${ready?.reason ?? ''} message:${ready?.message ?? ''}`,
        );
      const network = find('NetworkReady');
      const before = this.networkProblem;
      this.networkProblem =
        network?.status === true
          ? undefined
          : `container runtime network not ready: NetworkReady=${network?.status ?? false} reason:${network?.reason ?? ''} message:${network?.message ?? ''}`;
      if (this.networkProblem !== undefined) problems.push(this.networkProblem);
      else if (before !== undefined) this.onNetworkReady();
    } catch {
      this.runtimeAnswers = false;
      problems.push('container runtime is down');
    }
    const age = this.#listAge();
    if (age > LIST_TOO_OLD_MS && age < Date.now() / 2)
      problems.push(`PLEG is not healthy: pleg was last seen active ${Math.round(age / 1000)}s ago; threshold is 3m0s`);
    if (problems.length === 0) return undefined;
    return problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`;
  }
}
