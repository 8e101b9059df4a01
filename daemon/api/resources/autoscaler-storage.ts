import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { HorizontalPodAutoscaler as AutoscalerV1 } from '../../apimachinery/types/autoscaling-v1.ts';
import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus } from '../../apimachinery/types/autoscaling-v2.ts';
import { horizontalpodautoscalers } from '../../apimachinery/types/resources.ts';
import type { StoredAs } from './resource-row.ts';

/** Annotations in which v1 carries what it has no field for. */
const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';
const behaviorAnnotation = 'autoscaling.alpha.kubernetes.io/behavior';
const conditionsAnnotation = 'autoscaling.alpha.kubernetes.io/conditions';
const currentMetricsAnnotation = 'autoscaling.alpha.kubernetes.io/current-metrics';

function isCpuUtilization(metric: MetricSpec): boolean {
  return metric.type === 'Resource' && metric.resource?.name === 'cpu' && metric.resource.target.type === 'Utilization';
}

function cpuStatus(metrics: readonly MetricStatus[] | undefined): number | undefined {
  return metrics?.find((metric) => metric.resource?.name === 'cpu')?.resource?.current.averageUtilization;
}

function fromStored(stored: KubernetesObject): AutoscalerV1 {
  const { spec, status, metadata } = stored as HorizontalPodAutoscaler;
  const { metrics, behavior, ...rest } = spec;
  const { conditions, currentMetrics, ...counts } = status ?? { desiredReplicas: 0 };
  const cpu = metrics?.find(isCpuUtilization);
  const others = metrics?.filter((metric) => metric !== cpu) ?? [];
  const annotations: Record<string, string> = { ...metadata.annotations };
  if (others.length > 0) annotations[metricsAnnotation] = JSON.stringify(others);
  if (behavior !== undefined) annotations[behaviorAnnotation] = JSON.stringify(behavior);
  if (conditions !== undefined) annotations[conditionsAnnotation] = JSON.stringify(conditions);
  if (currentMetrics !== undefined) annotations[currentMetricsAnnotation] = JSON.stringify(currentMetrics);
  const utilization = cpu?.resource?.target.averageUtilization;
  const current = cpuStatus(currentMetrics);
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: { ...rest, ...(utilization === undefined ? {} : { targetCPUUtilizationPercentage: utilization }) },
    status: {
      ...counts,
      currentReplicas: counts.currentReplicas ?? 0,
      ...(current === undefined ? {} : { currentCPUUtilizationPercentage: current }),
    },
  };
}

function parsed(annotations: Record<string, string>, key: string): unknown {
  const text = annotations[key];
  delete annotations[key];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    // The annotation is the user's to write: one that does not parse says nothing, as in the original.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function toStored(object: AutoscalerV1): HorizontalPodAutoscaler {
  const annotations: Record<string, string> = { ...object.metadata.annotations };
  const { targetCPUUtilizationPercentage, ...spec } = object.spec;
  const { currentCPUUtilizationPercentage: _current, ...status } = object.status ?? { desiredReplicas: 0 };
  const others = parsed(annotations, metricsAnnotation);
  const behavior = parsed(annotations, behaviorAnnotation);
  const conditions = parsed(annotations, conditionsAnnotation);
  const currentMetrics = parsed(annotations, currentMetricsAnnotation);
  const metrics: MetricSpec[] = Array.isArray(others) ? others : [];
  if (targetCPUUtilizationPercentage !== undefined) {
    metrics.unshift({
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: targetCPUUtilizationPercentage } },
    });
  }
  const { annotations: _dropped, ...metadata } = object.metadata;
  const result: Record<string, unknown> = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: { ...spec, ...(metrics.length > 0 ? { metrics } : {}), ...(behavior === undefined ? {} : { behavior }) },
    status: {
      ...status,
      ...(conditions === undefined ? {} : { conditions }),
      ...(currentMetrics === undefined ? {} : { currentMetrics }),
    },
  };
  return result as unknown as HorizontalPodAutoscaler;
}

/** Autoscalers are stored as v2; v1 keeps what it cannot say in annotations. */
export const autoscalersStoredAsV2: StoredAs<AutoscalerV1> = { handle: horizontalpodautoscalers, fromStored, toStored };
