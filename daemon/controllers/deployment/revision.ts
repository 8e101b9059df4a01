import type { Deployment, ReplicaSet } from '../../apimachinery/types/apps-v1.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';

/** Longest revision history kept in the annotation, in characters. */
const maxHistoryLength = 2000;

/** Annotations of a Deployment that are its own business, not its replica sets'. */
const notCopied: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
]);

type Annotations = Readonly<Record<string, string>>;

/** 0 when there is none. */
export function revisionOf(object: Deployment | ReplicaSet): number {
  const revision = Number(object.metadata.annotations?.[revisionAnnotation] ?? '');
  return Number.isSafeInteger(revision) ? revision : 0;
}

export function maxRevision(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map(revisionOf));
}

/** The size the Deployment had in mind when it last sized this set; undefined when it never did. */
export function desiredReplicasAnnotationOf(set: ReplicaSet): number | undefined {
  return integerAnnotation(set, desiredReplicasAnnotation);
}

export function maxReplicasAnnotationOf(set: ReplicaSet): number | undefined {
  return integerAnnotation(set, maxReplicasAnnotation);
}

function integerAnnotation(set: ReplicaSet, name: string): number | undefined {
  const text = set.metadata.annotations?.[name];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

export function withReplicasAnnotations(annotations: Annotations, desired: number, max: number): Annotations {
  return { ...annotations, [desiredReplicasAnnotation]: String(desired), [maxReplicasAnnotation]: String(max) };
}

/** Annotations of the current replica set: the Deployment's own, and its place in the history. */
export function newSetAnnotations(deployment: Deployment, annotations: Annotations, revision: number): Annotations {
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !notCopied.has(name));
  const result: Record<string, string> = { ...annotations, ...Object.fromEntries(copied) };
  const oldText = annotations[revisionAnnotation];
  const old = Number(oldText ?? '0');
  // A revision that is not a number is somebody else's: leave it alone.
  if (Number.isNaN(old) || old >= revision) return result;
  result[revisionAnnotation] = String(revision);
  if (oldText !== undefined && oldText !== '') {
    result[revisionHistoryAnnotation] = appendHistory(annotations[revisionHistoryAnnotation] ?? '', oldText);
  }
  return result;
}

/** Comma-separated; the oldest entries go when it grows too long. */
function appendHistory(history: string, revision: string): string {
  const revisions = history === '' ? [revision] : [...history.split(','), revision];
  while (revisions.length > 1 && revisions.join(',').length > maxHistoryLength) revisions.shift();
  return revisions.join(',');
}

export function sameAnnotations(a: Annotations | undefined, b: Annotations | undefined): boolean {
  const entries = Object.entries(a ?? {});
  return entries.length === Object.keys(b ?? {}).length && entries.every(([name, value]) => b?.[name] === value);
}
