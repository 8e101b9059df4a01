import { nodeOf } from '../cluster-event.ts';
import { rejection, type SchedulerPlugin } from '../plugin.ts';
import { podInfoOf } from '../pod-info.ts';
import { tolerates } from '../taints.ts';

const unschedulableTaint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

const unschedulable = rejection('node(s) were unschedulable', true);
const wrongName = rejection("node(s) didn't match the requested node name", true);
const portTaken = rejection("node(s) didn't have free ports for the requested pod ports");

/** Keeps a pod back while it has scheduling gates. */
export const schedulingGates: SchedulerPlugin = {
  name: 'SchedulingGates',
  weight: 0,
  interests: [],
  admits: (pod) => (pod.spec.schedulingGates ?? []).length === 0,
};

/** Passes over cordoned nodes, unless the pod tolerates the taint that stands for it. */
export const nodeUnschedulable: SchedulerPlugin = {
  name: 'NodeUnschedulable',
  weight: 0,
  interests: [{ on: ['NodeAdd', 'NodeUpdate'], hint: (_pod, event) => nodeOf(event)?.spec?.unschedulable !== true }],
  filterFor({ pod }) {
    const tolerated =
      pod.pod.spec.tolerations?.some((toleration) => tolerates(toleration, unschedulableTaint)) ?? false;
    return tolerated
      ? undefined
      : { filter: (node) => (node.node?.spec?.unschedulable === true ? unschedulable : undefined) };
  },
};

/** A pod that names its node goes there or nowhere. */
export const nodeName: SchedulerPlugin = {
  name: 'NodeName',
  weight: 0,
  interests: [{ on: ['NodeAdd'] }],
  filterFor({ pod }) {
    const name = pod.pod.spec.nodeName;
    return name ? { filter: (node) => (node.name === name ? undefined : wrongName) } : undefined;
  },
};

/** Each host port of the pod must be free on the node. */
export const nodePorts: SchedulerPlugin = {
  name: 'NodePorts',
  weight: 0,
  interests: [
    { on: ['NodeAdd'] },
    {
      on: ['AssignedPodDelete'],
      hint: (_pod, event) => event.kind === 'AssignedPodDelete' && podInfoOf(event.pod).hostPorts.length > 0,
    },
  ],
  filterFor({ pod }) {
    const ports = pod.hostPorts;
    if (ports.length === 0) {
      return undefined;
    }
    return {
      filter(node) {
        for (const port of ports) {
          if (node.portTaken(port)) {
            return portTaken;
          }
        }
        return undefined;
      },
    };
  },
};
