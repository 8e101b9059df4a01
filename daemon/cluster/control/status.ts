import { setTimeout as delay } from 'node:timers/promises';
import type {
  Node as NodeReply,
  StatusResponse,
  UnhealthyPod,
} from '../../../proto/generated/balsa/control/v1/control.ts';
import type { KubernetesObject, ObjectList } from '../../apimachinery/resource.ts';
import type { Node, Pod } from '../../apimachinery/types/core-v1.ts';
import type { Store } from '../../store/store.ts';
import type { RestCaller } from './rest-caller.ts';

/** The answer names this many unhealthy pods, then counts. */
const unhealthyPodsShown = 20;
/** A pod may be starting this long before the cluster's status calls it unhealthy. */
const startingSeconds = 30;

function readyCondition(object: Node | Pod): { status: string; reason: string; message: string } {
  const found = (object.status?.conditions ?? []).find((condition) => condition.type === 'Ready');
  return { status: found?.status ?? 'Unknown', reason: found?.reason ?? '', message: found?.message ?? '' };
}

function nodeReply(node: Node): NodeReply {
  const ready = readyCondition(node);
  return {
    name: node.metadata.name ?? '',
    ready: ready.status === 'True',
    reason: ready.status === 'True' ? '' : ready.message || ready.reason || 'no status yet',
    internalIp: node.status?.addresses?.find((address) => address.type === 'InternalIP')?.address ?? '',
    version: node.status?.nodeInfo?.kubeletVersion ?? '',
    unschedulable: node.spec?.unschedulable ?? false,
    createdUnixSeconds: BigInt(Math.floor(Date.parse(node.metadata.creationTimestamp ?? '') / 1000) || 0),
  };
}

/** Why a pod that should be ready is not; undefined when all is well. */
function trouble(pod: Pod, now: number): UnhealthyPod | undefined {
  const status = pod.status;
  if (status?.phase === 'Succeeded' || readyCondition(pod).status === 'True') return undefined;
  const waiting = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
    .map((container) => container.state?.waiting ?? container.state?.terminated)
    .find(
      (state) =>
        state?.reason !== undefined && !['ContainerCreating', 'PodInitializing', 'Completed'].includes(state.reason),
    );
  const unscheduled = status?.conditions?.find(
    (condition) => condition.type === 'PodScheduled' && condition.status === 'False',
  );
  const age = (now - Date.parse(pod.metadata.creationTimestamp ?? '')) / 1000;
  if (waiting === undefined && unscheduled === undefined && status?.phase !== 'Failed' && age < startingSeconds)
    return undefined;
  return {
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name ?? '',
    node: pod.spec?.nodeName ?? '',
    reason:
      waiting?.reason ?? unscheduled?.reason ?? status?.reason ?? (status?.phase === 'Failed' ? 'Failed' : 'NotReady'),
    message: waiting?.message ?? unscheduled?.message ?? status?.message ?? readyCondition(pod).message,
  };
}

async function list<T extends KubernetesObject>(caller: RestCaller, path: string): Promise<readonly T[]> {
  const { value } = await caller.json<ObjectList<T>>({ method: 'GET', path });
  return value.items;
}

/** What the store says of itself, or why it does not answer within 2 s: a status must come even without a quorum. */
async function storeStatus(store: Store): Promise<Pick<StatusResponse, 'store' | 'members'>> {
  const read = Promise.all([store.status(), store.members()]);
  const late = delay(2000, undefined, { ref: false }).then(() => undefined);
  const answer = await Promise.race([read, late]).catch((error: unknown) => error as Error);
  if (answer === undefined || answer instanceof Error) {
    const errors = [answer?.message ?? 'the store does not answer'];
    const none = {
      leaderId: 0n,
      memberId: 0n,
      revision: 0n,
      raftTerm: 0n,
      raftIndex: 0n,
      raftAppliedIndex: 0n,
      diskSize: 0n,
      diskSizeInUse: 0n,
    };
    return { store: { ...none, errors }, members: [] };
  }
  const [status, members] = answer;
  return {
    store: {
      leaderId: status.leader,
      memberId: status.memberId,
      revision: BigInt(status.revision),
      raftTerm: BigInt(status.raftTerm),
      raftIndex: BigInt(status.raftIndex),
      raftAppliedIndex: BigInt(status.raftAppliedIndex),
      diskSize: BigInt(status.dbSize),
      diskSizeInUse: BigInt(status.dbSizeInUse),
      errors: [...status.errors],
    },
    members: members.map((member) => ({
      id: member.id,
      name: member.name,
      peerUrls: [...member.peerUrls],
      clientUrls: [...member.clientUrls],
      isLearner: member.isLearner,
      isLeader: member.id === status.leader,
    })),
  };
}

/** The cluster at a glance, as far as the caller may see it. Throws ApiError when the caller may not list nodes or pods. */
export async function clusterStatus(caller: RestCaller, store: Store, version: string): Promise<StatusResponse> {
  const [ofStore, nodes, pods] = await Promise.all([
    storeStatus(store),
    list<Node>(caller, '/api/v1/nodes'),
    list<Pod>(caller, '/api/v1/pods'),
  ]);
  const unhealthy = pods.map((pod) => trouble(pod, Date.now())).filter((pod) => pod !== undefined);
  return {
    version,
    ...ofStore,
    nodes: nodes.map(nodeReply),
    unhealthyPods: unhealthy.slice(0, unhealthyPodsShown),
    unhealthyPodsLeftOut: Math.max(0, unhealthy.length - unhealthyPodsShown),
    podsTotal: pods.length,
    podsReady: pods.filter((pod) => readyCondition(pod).status === 'True').length,
  };
}
