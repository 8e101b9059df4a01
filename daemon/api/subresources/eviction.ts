import { apiError } from '../../apimachinery/api-error.ts';
import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { Eviction, PodDisruptionBudget } from '../../apimachinery/types/policy-v1.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { CreatedSubresource, SubresourceCreate } from '../resource-api.ts';
import { badRequest, internalError } from '../status-errors.ts';

const evictionKind = { group: 'policy', version: 'v1', kind: 'Eviction', definition: 'io.k8s.api.policy.v1.Eviction' };

function budgetExceeded(message: string): Error {
  return apiError('TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: 'DisruptionBudget', message }],
  });
}

function isReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}

/** Takes one disruption from the pod's budget, if it has one, then deletes it. */
async function evict(request: SubresourceCreate): Promise<object> {
  const { api, row, namespace, name, body, write } = request;
  const eviction = body as Eviction;
  if (eviction.metadata?.name !== undefined && eviction.metadata.name !== name) {
    throw badRequest(`name in URL does not match name in Eviction object: ${eviction.metadata.name}`);
  }
  const options = eviction.deleteOptions ?? {};
  const dryRun = write.dryRun || (options.dryRun ?? []).includes('All');
  const pod = (await api.registry.reads.get(row, namespace, name)).object as Pod;
  const phase = pod.status?.phase;
  const counts =
    phase !== 'Succeeded' && phase !== 'Failed' && phase !== 'Pending' && pod.metadata?.deletionTimestamp === undefined;
  if (counts) await takeDisruption(request, pod, dryRun);
  await api.registry.deletion.delete(
    row,
    namespace,
    name,
    {
      ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
      ...(options.propagationPolicy === undefined ? {} : { propagationPolicy: options.propagationPolicy }),
      preconditions: { ...options.preconditions, ...(counts ? { uid: pod.metadata?.uid } : {}) },
    },
    { ...write, dryRun },
  );
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
}

async function takeDisruption({ api, namespace, write }: SubresourceCreate, pod: Pod, dryRun: boolean): Promise<void> {
  const budgets = api.registry.require('policy', 'v1', 'poddisruptionbudgets');
  const matching = api.registry.hub
    .cacheOf(budgets)
    .list(namespace)
    .filter(({ object }) => {
      const { selector } = (object as PodDisruptionBudget).spec ?? {};
      return selector !== undefined && labelSelectorMatcher(selector).matches(pod.metadata?.labels);
    });
  if (matching.length === 0) return;
  if (matching.length > 1) {
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const budget = matching[0]!;
  const spec = (budget.object as PodDisruptionBudget).spec;
  const status = (budget.object as PodDisruptionBudget).status;
  if (!isReady(pod)) {
    const healthyEnough =
      (status?.currentHealthy ?? 0) >= (status?.desiredHealthy ?? 0) && (status?.desiredHealthy ?? 0) > 0;
    if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow' || healthyEnough) return;
  }
  await api.registry.writes.update(
    { row: budgets, namespace, name: budget.name, subresource: 'status' },
    (current) => {
      const next = cloneObject(current) as PodDisruptionBudget;
      const now = next.status;
      if (now === undefined || (now.observedGeneration ?? 0) < (next.metadata?.generation ?? 0)) {
        throw budgetExceeded(`The disruption budget ${budget.name} is still being processed by the server.`);
      }
      const allowed = now.disruptionsAllowed ?? 0;
      if (allowed <= 0) {
        throw budgetExceeded(
          `The disruption budget ${budget.name} needs ${now.desiredHealthy} healthy pods and has ${now.currentHealthy} currently`,
        );
      }
      now.disruptionsAllowed = allowed - 1;
      now.disruptedPods = { ...now.disruptedPods, [pod.metadata!.name!]: formatTime() };
      return next;
    },
    { ...write, dryRun },
  );
}

export const podEviction: CreatedSubresource = { kind: evictionKind, create: evict };
