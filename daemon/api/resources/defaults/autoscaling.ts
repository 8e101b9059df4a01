import type { HorizontalPodAutoscaler as HorizontalPodAutoscalerV1 } from '../../../apimachinery/types/autoscaling-v1.ts';
import type { HorizontalPodAutoscaler, HPAScalingRules } from '../../../apimachinery/types/autoscaling-v2.ts';

const scaleUpRules = (): HPAScalingRules => ({
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
});

/** Scaling down waits as long as the controller is told to, so no window is written. */
const scaleDownRules = (): HPAScalingRules => ({
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
});

/** Fields that are set win over the defaults. */
function withDefaults(rules: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  return { ...defaults, ...rules };
}

export function defaultAutoscaler(autoscaler: HorizontalPodAutoscaler): void {
  autoscaler.spec ??= { scaleTargetRef: { kind: '', name: '' }, maxReplicas: 0 };
  autoscaler.status ??= { desiredReplicas: 0 };
  const { spec } = autoscaler;
  spec.minReplicas ??= 1;
  if (spec.metrics === undefined || spec.metrics.length === 0) {
    spec.metrics = [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ];
  }
  if (spec.behavior !== undefined) {
    spec.behavior.scaleUp = withDefaults(spec.behavior.scaleUp, scaleUpRules());
    spec.behavior.scaleDown = withDefaults(spec.behavior.scaleDown, scaleDownRules());
  }
}

export function defaultAutoscalerV1(autoscaler: HorizontalPodAutoscalerV1): void {
  autoscaler.spec ??= { scaleTargetRef: { kind: '', name: '' }, maxReplicas: 0 };
  autoscaler.status ??= { currentReplicas: 0, desiredReplicas: 0 };
  autoscaler.spec.minReplicas ??= 1;
  autoscaler.spec.targetCPUUtilizationPercentage ??= 80;
}
