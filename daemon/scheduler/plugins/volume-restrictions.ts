import { rejection, type SchedulerPlugin } from '../plugin.ts';

const inUse = rejection(
  'node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod',
);

/** A claim that only one pod at a time may use keeps all others off every node while one uses it. */
export const volumeRestrictions: SchedulerPlugin = {
  name: 'VolumeRestrictions',
  weight: 0,
  interests: [
    {
      on: ['AssignedPodDelete'],
      hint: (pod, event) =>
        event.kind === 'AssignedPodDelete' && event.pod.metadata.namespace === pod.metadata.namespace,
    },
    { on: ['VolumeChange', 'NodeAdd'] },
  ],
  filterFor({ pod, listers }) {
    const exclusive = pod.claims.filter((name) =>
      listers.claims.lister.get(`${pod.namespace}/${name}`)?.spec?.accessModes?.includes('ReadWriteOncePod'),
    );
    if (exclusive.length === 0) {
      return undefined;
    }
    return {
      filter(node) {
        for (const other of node.pods.values()) {
          if (other.namespace === pod.namespace && other.claims.some((name) => exclusive.includes(name))) {
            return inUse;
          }
        }
        return undefined;
      },
    };
  },
};
