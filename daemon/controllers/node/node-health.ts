import { findCondition } from '../../apimachinery/conditions.ts';
import { formatTime, parseTime } from '../../apimachinery/time.ts';
import type { Lease } from '../../apimachinery/types/coordination-v1.ts';
import type { Node, NodeCondition } from '../../apimachinery/types/core-v1.ts';

/** How long a node that never posted a status may take to do so, in milliseconds. */
export const nodeStartupGraceMs = 60_000;

/** Conditions that nobody can vouch for once the kubelet is silent. */
const kubeletConditions = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const;

export type Readiness = 'True' | 'False' | 'Unknown';

/** What is remembered of a node between two looks at it. Times are this controller's own clock, in milliseconds. */
export interface NodeHealth {
  /** When a sign of life was last seen to be new. */
  readonly seenAt: number;
  readonly heartbeat: string | undefined;
  readonly renewal: string | undefined;
}

export interface Assessment {
  readonly health: NodeHealth;
  /** What the node said of itself before this look; undefined when it has not said anything yet. */
  readonly observed: Readiness | undefined;
  /** What holds now: Unknown when the silence has lasted too long. */
  readonly current: Readiness | undefined;
  /** Conditions to write; undefined when those of the node stand. */
  readonly conditions: NodeCondition[] | undefined;
}

/**
 * Judges a node by its signs of life: a changed Ready heartbeat or a renewed Lease. Only the change counts and not the
 * times in it, so the nodes' clocks may be wrong; a new leader gives every node a full grace period.
 */
export function assessNode(
  node: Node,
  lease: Lease | undefined,
  before: NodeHealth | undefined,
  graceMs: number,
  now: Date,
): Assessment {
  const ready = findCondition(node.status?.conditions, 'Ready');
  const heartbeat = ready?.lastHeartbeatTime;
  const renewal = lease?.spec?.renewTime;
  const alive = before === undefined || before.heartbeat !== heartbeat || before.renewal !== renewal;
  const startedAt = parseTime(node.metadata.creationTimestamp) ?? now.getTime();
  const seenAt = before === undefined && ready === undefined ? startedAt : alive ? now.getTime() : before.seenAt;
  const health = { seenAt, heartbeat, renewal };

  const grace = ready === undefined ? nodeStartupGraceMs : graceMs;
  const observed = readinessOf(ready);
  if (now.getTime() <= seenAt + grace) return { health, observed, current: observed, conditions: undefined };
  const conditions = silentConditions(node, now);
  return { health, observed, current: 'Unknown', conditions };
}

function readinessOf(ready: NodeCondition | undefined): Readiness | undefined {
  if (ready === undefined) return undefined;
  return ready.status === 'True' || ready.status === 'False' ? ready.status : 'Unknown';
}

function silentConditions(node: Node, now: Date): NodeCondition[] | undefined {
  const time = formatTime(now);
  let changed = false;
  const conditions = [...(node.status?.conditions ?? [])];
  for (const type of kubeletConditions) {
    const index = conditions.findIndex((condition) => condition.type === type);
    const condition = conditions[index];
    if (condition === undefined) {
      changed = true;
      conditions.push({
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        ...(node.metadata.creationTimestamp === undefined
          ? {}
          : { lastHeartbeatTime: node.metadata.creationTimestamp }),
        lastTransitionTime: time,
      });
    } else if (condition.status !== 'Unknown') {
      changed = true;
      conditions[index] = {
        ...condition,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        lastTransitionTime: time,
      };
    }
  }
  return changed ? conditions : undefined;
}
