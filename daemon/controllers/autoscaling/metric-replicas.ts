import { milliOf, Quantity } from '../../apimachinery/quantity.ts';
import type { HPAScalingRules, MetricSpec, MetricStatus } from '../../apimachinery/types/autoscaling-v2.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { ApiClient } from '../../client/api-client.ts';
import { messageOf } from '../workload/pod-control.ts';
import { podUsage } from './pod-metrics.ts';
import { type CalculatedReplicas, replicasForAverageValue, replicasForUtilization } from './replica-calculator.ts';

const defaultTolerance = 0.1;

export interface MetricInput {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly selector: string;
  readonly pods: readonly Pod[];
  readonly currentReplicas: number;
  readonly rules: { readonly up: HPAScalingRules; readonly down: HPAScalingRules };
  readonly now: Date;
}

export type MetricOutcome =
  | { readonly replicas: number; readonly name: string; readonly status: MetricStatus }
  | { readonly reason: string; readonly error: string; readonly firstError: string };

/** What one metric of an autoscaler asks for, or why that cannot be told. */
export async function replicasForMetric(input: MetricInput, metric: MetricSpec): Promise<MetricOutcome> {
  switch (metric.type) {
    case 'Resource':
      return metric.resource === undefined
        ? unknown(metric)
        : resourceMetric(input, { ...metric.resource, container: undefined });
    case 'ContainerResource':
      return metric.containerResource === undefined ? unknown(metric) : resourceMetric(input, metric.containerResource);
    case 'Pods':
      return unserved('FailedGetPodsMetric', 'pods', `pods metric ${metric.pods?.metric.name}`, 'custom');
    case 'Object':
      return unserved('FailedGetObjectMetric', 'object', `object metric ${metric.object?.metric.name}`, 'custom');
    case 'External':
      return unserved(
        'FailedGetExternalMetric',
        'external',
        `external metric ${metric.external?.metric.name}`,
        'external',
      );
    default:
      return unknown(metric);
  }
}

function unknown(metric: MetricSpec): MetricOutcome {
  const error = `unknown metric source type "${metric.type}"`;
  return { reason: 'InvalidMetricSourceType', error, firstError: error };
}

/** Nothing in the cluster answers for these metrics. */
function unserved(reason: string, kind: string, subject: string, api: 'custom' | 'external'): MetricOutcome {
  const error = `unable to get ${subject}: unable to fetch metrics from ${api} metrics API: the server could not find the requested resource`;
  return { reason, error, firstError: `failed to get ${kind} metric value: ${error}` };
}

interface ResourceTarget {
  readonly name: string;
  readonly container: string | undefined;
  readonly target: { averageUtilization?: number; averageValue?: string };
}

async function resourceMetric(input: MetricInput, source: ResourceTarget): Promise<MetricOutcome> {
  const { name: resource, container, target } = source;
  const what = container === undefined ? 'resource' : 'container resource';
  const failedReason = container === undefined ? 'FailedGetResourceMetric' : 'FailedGetContainerResourceMetric';
  const byUtilization = target.averageValue === undefined;
  try {
    if (byUtilization && target.averageUtilization === undefined) {
      throw new Error(
        'invalid resource metric source: neither an average utilization target nor an average value (usage) target was set',
      );
    }
    const usage = await podUsage(input.client, input.namespace, input.selector, resource, container);
    const { pods, currentReplicas, now, rules } = input;
    const tolerance = { up: toleranceOf(rules.up), down: toleranceOf(rules.down) };
    const common = { pods, usage, resource, container, currentReplicas, tolerance, now };
    const calculated = byUtilization
      ? replicasForUtilization(common, target.averageUtilization ?? 0)
      : replicasForAverageValue(common, milliOf(target.averageValue));
    const suffix = byUtilization ? ' (percentage of request)' : '';
    const label = `${resource} ${what}${byUtilization ? ' utilization' : ''}${suffix}`;
    return { replicas: calculated.replicas, name: label, status: statusOf(source, calculated) };
  } catch (error) {
    const detail = byUtilization ? 'utilization' : 'usage';
    const message = `failed to get ${resource} ${detail}: ${messageOf(error)}`;
    return {
      reason: failedReason,
      error: message,
      firstError: `failed to get ${resource} ${what} metric value: ${message}`,
    };
  }
}

function toleranceOf(rules: HPAScalingRules): number {
  return rules.tolerance === undefined ? defaultTolerance : milliOf(rules.tolerance) / 1000;
}

function statusOf(
  { name, container }: ResourceTarget,
  { averageValue, utilization }: CalculatedReplicas,
): MetricStatus {
  const current = {
    averageValue: Quantity.ofMilli(averageValue).toString(),
    ...(utilization === undefined ? {} : { averageUtilization: utilization }),
  };
  return container === undefined
    ? { type: 'Resource', resource: { name, current } }
    : { type: 'ContainerResource', containerResource: { name, container, current } };
}
