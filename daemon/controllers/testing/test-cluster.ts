import { pino } from 'pino';
import { isApiError } from '../../apimachinery/api-error.ts';
import { isPodTerminal } from '../../apimachinery/conditions.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Event, Node, Pod, PodTemplateSpec } from '../../apimachinery/types/core-v1.ts';
import { events, nodes, pods } from '../../apimachinery/types/resources.ts';
import { ManualClock } from '../../client/clock.ts';
import { FakeClient } from '../../client/fake-client.ts';
import type { SharedInformers } from '../../client/informer.ts';
import { createSharedInformers } from '../../client/shared-informers.ts';
import type { ControllerRow } from '../controller-context.ts';
import { controllerRows } from '../controller-table.ts';
import { type Controllers, type ControllersOptions, startControllers } from '../controllers.ts';
import { objectKey } from '../object-key.ts';

export const silentLogger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' });

export interface TestClusterOptions extends Partial<Omit<ControllersOptions, 'clientFor' | 'informers' | 'rows'>> {
  /** Names of the controllers that run; none runs unless named. */
  readonly controllers: readonly string[];
}

/**
 * Controllers on an API in memory, under a clock that the test turns. The scheduler's and the kubelet's part is played by
 * `runPods`: pods are bound, get an address and become Ready; those being deleted go.
 */
export class TestCluster {
  readonly clock = new ManualClock();
  readonly client = new FakeClient({ clock: this.clock });
  readonly #options: TestClusterOptions;
  readonly #rows: readonly ControllerRow[];
  #informers: SharedInformers | undefined;
  #controllers: Controllers | undefined;
  #nextIp = 1;
  /** Which pods the fake kubelet makes ready; all of them unless changed. */
  becomesReady: (pod: Pod) => boolean = () => true;

  constructor(options: TestClusterOptions) {
    this.#options = options;
    this.#rows = options.controllers.map((name) => {
      const row = controllerRows.find((candidate) => candidate.name === name);
      if (row === undefined) throw new Error(`no controller ${name}`);
      return row;
    });
  }

  async start(): Promise<void> {
    this.#informers = createSharedInformers(this.client, silentLogger, { clock: this.clock, random: () => 0.5 });
    this.#controllers = await startControllers({
      logger: silentLogger,
      rootCa: 'CA',
      clusterPodCidr: '10.244.0.0/16',
      clock: this.clock,
      ...this.#options,
      rows: this.#rows,
      clientFor: () => this.client,
      informers: this.#informers,
    });
    await this.client.settle();
  }

  async stop(): Promise<void> {
    await this.#controllers?.stop();
    await this.#informers?.stop();
    this.#controllers = undefined;
    this.#informers = undefined;
  }

  /** Another process takes over: nothing is left of what the controllers remembered. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async settle(): Promise<void> {
    await this.client.settle();
  }

  async advance(seconds: number): Promise<void> {
    await this.client.settle();
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1000);
      await this.client.settle();
    }
  }

  /** One round of the scheduler and the kubelets. Returns whether there was anything to do. */
  async runPods(): Promise<boolean> {
    let acted = false;
    for (const pod of await this.all(pods)) {
      const next = this.#nextState(pod);
      if (next === undefined) continue;
      acted = true;
      try {
        if (next === 'gone') {
          await this.client.delete(pods, objectKey(pod), { gracePeriodSeconds: 0 });
        } else {
          const bound = { ...pod, spec: { ...pod.spec, nodeName: pod.spec.nodeName ?? 'node-1' } };
          const stored = await this.client.update(pods, bound);
          await this.client.update(pods, { ...stored, status: next }, { subresource: 'status' });
        }
      } catch (error) {
        // A controller was faster: the next round sees what it did.
        if (!isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error;
      }
    }
    await this.client.settle();
    return acted;
  }

  #nextState(pod: Pod): NonNullable<Pod['status']> | 'gone' | undefined {
    if (pod.metadata.deletionTimestamp !== undefined) {
      return (pod.metadata.finalizers ?? []).length === 0 ? 'gone' : undefined;
    }
    if (isPodTerminal(pod)) return undefined;
    const ready = this.becomesReady(pod);
    const status = ready ? 'True' : 'False';
    if (pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === status)) {
      return undefined;
    }
    const ip = pod.status?.podIP ?? `10.244.0.${this.#nextIp++}`;
    return {
      ...pod.status,
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status, lastTransitionTime: formatTime(new Date(this.clock.now())) }],
    };
  }

  /** Turns the clock and runs the pods until nothing is written any more. */
  async converge(maxSeconds = 120): Promise<void> {
    let quiet = 0;
    for (let second = 0; second < maxSeconds && quiet < 5; second++) {
      const writes = this.#writes();
      await this.runPods();
      await this.advance(1);
      quiet = this.#writes() === writes ? quiet + 1 : 0;
    }
    if (quiet < 5) throw new Error(`not converged after ${maxSeconds} s`);
  }

  #writes(): number {
    return this.client.actions.filter((action) => action.resource !== 'events').length;
  }

  async all<T extends KubernetesObject>(resource: Resource<T>): Promise<T[]> {
    return (await this.client.list(resource)).items;
  }

  async get<T extends KubernetesObject>(resource: Resource<T>, key: string): Promise<T> {
    const slash = key.indexOf('/');
    return this.client.get(
      resource,
      slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) },
    );
  }

  async names(resource: Resource): Promise<string[]> {
    return (await this.all(resource)).map(keyOf).sort();
  }

  /** `reason message`, in the order of their writing. */
  async eventTexts(): Promise<string[]> {
    return (await this.all<Event>(events)).map((event) => `${event.reason} ${event.message}`);
  }

  seedNode(name: string, labels: Record<string, string> = {}): Node {
    const [node] = this.client.seed(nodes, {
      metadata: { name, labels },
      spec: {},
      status: {
        conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: formatTime(new Date(this.clock.now())) }],
      },
    });
    if (node === undefined) throw new Error('nothing was seeded');
    return node;
  }
}

export function podTemplate(labels: Record<string, string>, image = 'app:1'): PodTemplateSpec {
  return { metadata: { labels }, spec: { containers: [{ name: 'app', image }] } };
}
