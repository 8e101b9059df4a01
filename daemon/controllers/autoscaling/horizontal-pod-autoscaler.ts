import { withCondition } from '../../apimachinery/conditions.ts';
import { parseLabelSelector } from '../../apimachinery/label-selector.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Scale } from '../../apimachinery/types/autoscaling-v1.ts';
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerCondition,
  HorizontalPodAutoscalerStatus,
  MetricStatus,
} from '../../apimachinery/types/autoscaling-v2.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { horizontalpodautoscalers, pods } from '../../apimachinery/types/resources.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { groupOf } from '../workload/owner-reference.ts';
import { messageOf } from '../workload/pod-control.ts';
import { sameStatus } from '../workload/status-equal.ts';
import { replicasForMetric } from './metric-replicas.ts';
import { applyBehavior, recordChange, rulesOf, type ScalingHistory } from './scaling-behavior.ts';

/** How often each autoscaler is looked at. */
const periodMs = 15_000;

export function startHorizontalPodAutoscaler(context: ControllerContext, workers: number): void {
  new Autoscaler(context, workers);
}

type Conditions = HorizontalPodAutoscalerCondition[];

/** The size a round arrives at, and why. */
interface Decision {
  readonly desired: number;
  readonly reason: string;
  readonly conditions: Conditions;
  readonly currentMetrics: MetricStatus[];
}

/** Ends a round that cannot come to a decision; the conditions say why. */
class UndecidedError extends Error {
  override readonly name = 'UndecidedError';
  readonly conditions: Conditions;

  constructor(message: string, conditions: Conditions) {
    super(message);
    this.conditions = conditions;
  }
}

class Autoscaler {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #autoscalers: Informer<HorizontalPodAutoscaler>;
  readonly #pods: Informer<Pod>;
  readonly #histories = new Map<string, ScalingHistory>();

  constructor(context: ControllerContext, workers: number) {
    this.#context = context;
    this.#queue = context.reconciler('horizontalpodautoscaler', workers, (key) => this.#reconcile(key));
    this.#autoscalers = context.watch(horizontalpodautoscalers, {
      onAdd: (autoscaler) => this.#queue.add(keyOf(autoscaler)),
      onUpdate: (autoscaler, old) => {
        if (autoscaler.metadata.generation !== old.metadata.generation) this.#queue.add(keyOf(autoscaler));
      },
      onDelete: (autoscaler) => this.#histories.delete(keyOf(autoscaler)),
    });
    this.#pods = context.informer(pods);
  }

  async #reconcile(key: string): Promise<void> {
    const autoscaler = this.#autoscalers.lister.get(key);
    if (autoscaler === undefined) return;
    this.#queue.addAfter(key, periodMs);
    const conditions = [...(autoscaler.status?.conditions ?? [])];
    let target: { resource: Resource; scale: Scale };
    try {
      target = await this.#fetchScale(autoscaler);
    } catch (error) {
      this.#event(autoscaler, 'Warning', 'FailedGetScale', messageOf(error));
      const message = `the HPA controller was unable to get the target's current scale: ${messageOf(error)}`;
      await this.#write(autoscaler, {
        conditions: this.#set(conditions, 'AbleToScale', 'False', 'FailedGetScale', message),
      });
      return;
    }
    const message = "the HPA controller was able to get the target's current scale";
    const able = this.#set(conditions, 'AbleToScale', 'True', 'SucceededGetScale', message);
    const current = target.scale.spec.replicas ?? 0;
    try {
      const decision = await this.#decide(key, autoscaler, target.scale, current, able);
      await this.#apply(key, autoscaler, target, current, decision);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      this.#event(autoscaler, 'Warning', 'FailedComputeMetricsReplicas', error.message);
      await this.#write(autoscaler, { currentReplicas: current, conditions: error.conditions });
    }
  }

  async #fetchScale({ spec, metadata }: HorizontalPodAutoscaler): Promise<{ resource: Resource; scale: Scale }> {
    const { apiVersion = '', kind, name } = spec.scaleTargetRef;
    const group = groupOf(apiVersion);
    const resource = this.#context.settings
      .resources()
      .find(
        (candidate) => candidate.group === group && candidate.kind === kind && candidate.subresources.includes('scale'),
      );
    if (resource === undefined) {
      throw new Error(
        `unable to determine resource for scale target reference: no matches for kind "${kind}" in group "${group}"`,
      );
    }
    const { namespace } = metadata;
    const key = { ...(namespace === undefined ? {} : { namespace }), name };
    const scale = await this.#context.client.get(resource as Resource<Scale & KubernetesObject>, key, {
      subresource: 'scale',
    });
    return { resource, scale };
  }

  async #decide(
    key: string,
    autoscaler: HorizontalPodAutoscaler,
    scale: Scale,
    current: number,
    conditions: Conditions,
  ): Promise<Decision> {
    const { minReplicas = 1, maxReplicas } = autoscaler.spec;
    const currentMetrics = autoscaler.status?.currentMetrics ?? [];
    if (current === 0 && minReplicas !== 0) {
      const message = 'scaling is disabled since the replica count of the target is zero';
      const disabled = this.#set(conditions, 'ScalingActive', 'False', 'ScalingDisabled', message);
      return { desired: 0, reason: '', conditions: disabled, currentMetrics };
    }
    if (current > maxReplicas) {
      const reason = 'Current number of replicas above Spec.MaxReplicas';
      return { desired: maxReplicas, reason, conditions, currentMetrics };
    }
    if (current < minReplicas) {
      const reason = 'Current number of replicas below Spec.MinReplicas';
      return { desired: minReplicas, reason, conditions, currentMetrics };
    }
    const metrics = await this.#fromMetrics(autoscaler, scale, current, conditions);
    const reason = metrics.replicas > current ? `${metrics.name} above target` : 'All metrics below target';
    const history = this.#historyOf(key, current);
    const outcome = applyBehavior(autoscaler.spec, history, current, metrics.replicas, this.#context.now().getTime());
    const able = this.#set(metrics.conditions, 'AbleToScale', 'True', ...outcome.ableToScale);
    return {
      desired: outcome.replicas,
      reason,
      conditions: this.#set(able, 'ScalingLimited', ...outcome.limited),
      currentMetrics: metrics.statuses,
    };
  }

  #historyOf(key: string, current: number): ScalingHistory {
    const known = this.#histories.get(key);
    if (known !== undefined) return known;
    // The size found at the start counts as recommended, so that a restart does not scale down at once.
    const recommendations = [{ at: this.#context.now().getTime(), count: current }];
    const history: ScalingHistory = { recommendations, added: [], removed: [] };
    this.#histories.set(key, history);
    return history;
  }

  /** The most that any metric asks for. Metrics that fail can only keep a scale-down from happening. */
  async #fromMetrics(
    autoscaler: HorizontalPodAutoscaler,
    scale: Scale,
    current: number,
    conditions: Conditions,
  ): Promise<{ replicas: number; name: string; statuses: MetricStatus[]; conditions: Conditions }> {
    const selector = scale.status?.selector ?? '';
    if (selector === '') {
      this.#event(autoscaler, 'Warning', 'SelectorRequired', 'selector is required');
      const message = "the HPA target's scale is missing a selector";
      throw new UndecidedError(
        'selector is required',
        this.#set(conditions, 'ScalingActive', 'False', 'InvalidSelector', message),
      );
    }
    const { namespace = '' } = autoscaler.metadata;
    const matcher = parseLabelSelector(selector);
    const members = this.#pods.lister.list(namespace).filter((pod) => matcher.matches(pod.metadata.labels));
    const specs = autoscaler.spec.metrics ?? [];
    let best: { replicas: number; name: string } | undefined;
    const statuses: MetricStatus[] = [];
    const failures: { reason: string; error: string; firstError: string }[] = [];
    for (const spec of specs) {
      const outcome = await replicasForMetric(
        {
          client: this.#context.client,
          namespace,
          selector,
          pods: members,
          currentReplicas: current,
          rules: rulesOf(autoscaler.spec.behavior),
          now: this.#context.now(),
        },
        spec,
      );
      if ('error' in outcome) {
        failures.push(outcome);
        this.#event(autoscaler, 'Warning', outcome.reason, outcome.error);
        continue;
      }
      statuses.push(outcome.status);
      if (best === undefined || outcome.replicas > best.replicas)
        best = { replicas: outcome.replicas, name: outcome.name };
    }
    const [first] = failures;
    if (best === undefined || (first !== undefined && best.replicas < current)) {
      const error = first ?? { reason: 'InvalidMetricSourceType', error: 'no metrics', firstError: 'no metrics' };
      const message = `the HPA was unable to compute the replica count: ${error.error}`;
      throw new UndecidedError(
        `invalid metrics (${failures.length} invalid out of ${specs.length}), first error is: ${error.firstError}`,
        this.#set(conditions, 'ScalingActive', 'False', error.reason, message),
      );
    }
    const message = `the HPA was able to successfully calculate a replica count from ${best.name}`;
    return {
      ...best,
      statuses,
      conditions: this.#set(conditions, 'ScalingActive', 'True', 'ValidMetricFound', message),
    };
  }

  async #apply(
    key: string,
    autoscaler: HorizontalPodAutoscaler,
    target: { resource: Resource; scale: Scale },
    current: number,
    decision: Decision,
  ): Promise<void> {
    const { desired, reason } = decision;
    const { currentMetrics } = decision;
    let { conditions } = decision;
    if (desired === current) {
      await this.#write(autoscaler, { currentReplicas: current, desiredReplicas: desired, currentMetrics, conditions });
      return;
    }
    const wanted: Scale = { ...target.scale, spec: { ...target.scale.spec, replicas: desired } };
    try {
      await this.#context.client.update(target.resource, wanted, { subresource: 'scale' });
    } catch (error) {
      const text = `New size: ${desired}; reason: ${reason}; error: ${messageOf(error)}`;
      this.#event(autoscaler, 'Warning', 'FailedRescale', text);
      const message = `the HPA controller was unable to update the target scale: ${messageOf(error)}`;
      conditions = this.#set(conditions, 'AbleToScale', 'False', 'FailedUpdateScale', message);
      await this.#write(autoscaler, { currentReplicas: current, conditions });
      throw error;
    }
    const now = this.#context.now();
    recordChange(this.#historyOf(key, current), current, desired, now.getTime());
    this.#event(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`);
    const message = `the HPA controller was able to update the target scale to ${desired}`;
    conditions = this.#set(conditions, 'AbleToScale', 'True', 'SucceededRescale', message);
    const lastScaleTime = formatTime(now);
    await this.#write(autoscaler, {
      currentReplicas: current,
      desiredReplicas: desired,
      lastScaleTime,
      currentMetrics,
      conditions,
    });
  }

  #set(conditions: Conditions, type: string, status: string, reason: string, message: string): Conditions {
    return withCondition(conditions, { type, status, reason, message }, this.#context.now());
  }

  #event(autoscaler: HorizontalPodAutoscaler, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.event(horizontalpodautoscalers, autoscaler, type, reason, message);
  }

  async #write(autoscaler: HorizontalPodAutoscaler, change: Partial<HorizontalPodAutoscalerStatus>): Promise<void> {
    const { generation } = autoscaler.metadata;
    const status: HorizontalPodAutoscalerStatus = {
      desiredReplicas: 0,
      ...autoscaler.status,
      ...change,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
    if (autoscaler.status !== undefined && sameStatus(status, autoscaler.status)) return;
    await this.#context.client.update(horizontalpodautoscalers, { ...autoscaler, status }, { subresource: 'status' });
  }
}
