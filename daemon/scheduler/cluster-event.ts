import type { Node, Pod } from '../apimachinery/types/core-v1.ts';

/**
 * Something that happened in the cluster that may let a pod be scheduled that could not be before. The label is how
 * `scheduler_queue_incoming_pods_total` names it.
 */
export type ClusterEvent =
  | { readonly kind: 'NodeAdd'; readonly node: Node }
  | { readonly kind: 'NodeUpdate'; readonly node: Node; readonly old: Node }
  | { readonly kind: 'AssignedPodAdd' | 'AssignedPodDelete'; readonly pod: Pod }
  | { readonly kind: 'AssignedPodUpdate'; readonly pod: Pod; readonly old: Pod }
  | { readonly kind: 'VolumeChange' }
  | { readonly kind: 'NamespaceChange' };

export type ClusterEventKind = ClusterEvent['kind'];

export const clusterEventKinds: readonly ClusterEventKind[] = [
  'NodeAdd',
  'NodeUpdate',
  'AssignedPodAdd',
  'AssignedPodUpdate',
  'AssignedPodDelete',
  'VolumeChange',
  'NamespaceChange',
];

/** The events that matter to a plugin's verdict, and whether one may turn it for `pod`. */
export interface EventInterest {
  readonly on: readonly ClusterEventKind[];
  /** Absent: any such event is worth another try. */
  readonly hint?: (pod: Pod, event: ClusterEvent) => boolean;
}

/** The node as it is after the event; undefined when the event is of something else. */
export function nodeOf(event: ClusterEvent): Node | undefined {
  return event.kind === 'NodeAdd' || event.kind === 'NodeUpdate' ? event.node : undefined;
}
