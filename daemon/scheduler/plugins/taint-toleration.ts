import { nodeOf } from '../cluster-event.ts';
import { normalizeToMax, rejection, type SchedulerPlugin } from '../plugin.ts';
import { repellingEffects, tolerates, untoleratedTaint } from '../taints.ts';

const untolerated = rejection('node(s) had untolerated taint(s)', true);

/** Keeps pods off nodes with taints they do not tolerate, and prefers nodes without taints that ask to be avoided. */
export const taintToleration: SchedulerPlugin = {
  name: 'TaintToleration',
  weight: 3,
  interests: [
    {
      on: ['NodeAdd', 'NodeUpdate'],
      hint: (pod, event) =>
        untoleratedTaint(nodeOf(event)?.spec?.taints, pod.spec.tolerations, repellingEffects) === undefined,
    },
  ],
  filterFor({ pod }) {
    const { tolerations } = pod.pod.spec;
    return {
      filter(node) {
        const taints = node.node?.spec?.taints;
        if (taints === undefined || taints.length === 0) {
          return undefined;
        }
        return untoleratedTaint(taints, tolerations, repellingEffects) === undefined ? undefined : untolerated;
      },
    };
  },
  scorerFor({ pod }, nodes) {
    if (!nodes.some((node) => node.node?.spec?.taints?.some(({ effect }) => effect === 'PreferNoSchedule') === true)) {
      return undefined;
    }
    const tolerations = (pod.pod.spec.tolerations ?? []).filter(
      ({ effect }) => effect === undefined || effect === '' || effect === 'PreferNoSchedule',
    );
    return {
      score: (node) =>
        (node.node?.spec?.taints ?? []).filter(
          (taint) =>
            taint.effect === 'PreferNoSchedule' && !tolerations.some((toleration) => tolerates(toleration, taint)),
        ).length,
      normalize: (scores) => normalizeToMax(scores, true),
    };
  },
};
