import type { HorizontalPodAutoscaler as HorizontalPodAutoscalerV1 } from '../../apimachinery/types/autoscaling-v1.ts';
import type {
  HorizontalPodAutoscaler,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from '../../apimachinery/types/autoscaling-v2.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, integer, nameColumn, text } from './column.ts';

/** Targets show this many metrics. */
const mostShown = 2;

interface MetricParts {
  readonly label: string;
  readonly target: MetricTarget | undefined;
  readonly current: MetricValueStatus | undefined;
}

function parts(spec: MetricSpec, status: MetricStatus | undefined): MetricParts {
  switch (spec.type) {
    case 'Resource':
      return { label: `${spec.resource?.name}: `, target: spec.resource?.target, current: status?.resource?.current };
    case 'ContainerResource':
      return {
        label: `${spec.containerResource?.name}: `,
        target: spec.containerResource?.target,
        current: status?.containerResource?.current,
      };
    case 'Pods':
      return { label: '', target: spec.pods?.target, current: status?.pods?.current };
    case 'Object':
      return { label: '', target: spec.object?.target, current: status?.object?.current };
    default:
      return { label: '', target: spec.external?.target, current: status?.external?.current };
  }
}

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  const { label, target, current } = parts(spec, status);
  if (target?.averageUtilization !== undefined) {
    const now = current?.averageUtilization;
    return `${label}${now === undefined ? '<unknown>' : `${now}%`}/${target.averageUtilization}%`;
  }
  if (target?.averageValue !== undefined) {
    const suffix =
      spec.type === 'Resource' || spec.type === 'ContainerResource' || spec.type === 'Pods' ? '' : ' (avg)';
    return `${label}${current?.averageValue ?? '<unknown>'}/${target.averageValue}${suffix}`;
  }
  return `${label}${current?.value ?? '<unknown>'}/${target?.value ?? '<auto>'}`;
}

function targets({ spec, status }: HorizontalPodAutoscaler): string {
  const specs = spec.metrics ?? [];
  if (specs.length === 0) return '<none>';
  const shown = specs.slice(0, mostShown).map((metric, index) => metricText(metric, status?.currentMetrics?.[index]));
  return `${shown.join(', ')}${specs.length > mostShown ? ` + ${specs.length - mostShown} more...` : ''}`;
}

export const autoscalerColumns: readonly Column<HorizontalPodAutoscaler>[] = [
  nameColumn,
  text('Reference', ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
  text('Targets', targets),
  text('MinPods', ({ spec }) => (spec.minReplicas === undefined ? '<unset>' : String(spec.minReplicas))),
  integer('MaxPods', ({ spec }) => spec.maxReplicas),
  integer('Replicas', ({ status }) => status?.currentReplicas ?? 0),
  ageColumn,
];

export const autoscalerV1Columns: readonly Column<HorizontalPodAutoscalerV1>[] = [
  nameColumn,
  text('Reference', ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
  text('Targets', ({ spec, status }) => {
    if (spec.targetCPUUtilizationPercentage === undefined) return '<none>';
    const current = status?.currentCPUUtilizationPercentage;
    return `cpu: ${current === undefined ? '<unknown>' : `${current}%`}/${spec.targetCPUUtilizationPercentage}%`;
  }),
  text('MinPods', ({ spec }) => (spec.minReplicas === undefined ? '<unset>' : String(spec.minReplicas))),
  integer('MaxPods', ({ spec }) => spec.maxReplicas),
  integer('Replicas', ({ status }) => status?.currentReplicas ?? 0),
  ageColumn,
];
