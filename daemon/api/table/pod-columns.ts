import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, nameColumn, orNone, since, text } from './column.ts';
import { type PodSummary, summarizePod } from './pod-status.ts';

/** Three columns of a row read one summary: it is worked out once for a pod. */
let lastPod: Pod | undefined;
let lastSummary: PodSummary | undefined;

function summaryOf(pod: Pod): PodSummary {
  if (pod !== lastPod || lastSummary === undefined) {
    lastPod = pod;
    lastSummary = summarizePod(pod);
  }
  return lastSummary;
}

function readinessGates({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const open = gates.filter(({ conditionType }) =>
    status?.conditions?.some((condition) => condition.type === conditionType && condition.status === 'True'),
  );
  return `${open.length}/${gates.length}`;
}

export const podColumns: readonly Column<Pod>[] = [
  nameColumn,
  text('Ready', (pod) => `${summaryOf(pod).ready}/${summaryOf(pod).containers}`),
  text('Status', (pod) => summaryOf(pod).status),
  text('Restarts', (pod, now) => {
    const { restarts, lastRestart } = summaryOf(pod);
    return restarts > 0 && lastRestart !== undefined ? `${restarts} (${since(lastRestart, now)} ago)` : `${restarts}`;
  }),
  ageColumn,
  text('IP', ({ status }) => orNone(status?.podIPs?.[0]?.ip ?? status?.podIP), true),
  text('Node', ({ spec }) => orNone(spec.nodeName), true),
  text('Nominated Node', ({ status }) => orNone(status?.nominatedNodeName), true),
  text('Readiness Gates', readinessGates, true),
];
