import { withCondition } from '../../apimachinery/conditions.ts';
import type { NamespaceCondition } from '../../apimachinery/types/core-v1.ts';
import type { RemainingContent } from './namespace-content.ts';

interface ConditionForm {
  readonly type: string;
  /** Reason and message while all is well. */
  readonly good: readonly [reason: string, message: string];
  readonly badReason: string;
  /** The message when something is wrong; undefined when nothing is. */
  readonly bad: (content: RemainingContent) => string | undefined;
}

const discoveryOk: ConditionForm = {
  type: 'NamespaceDeletionDiscoveryFailure',
  good: ['ResourcesDiscovered', 'All resources successfully discovered'],
  badReason: 'DiscoveryFailed',
  bad: () => undefined,
};

const forms: readonly ConditionForm[] = [
  discoveryOk,
  {
    type: 'NamespaceDeletionGroupVersionParsingFailure',
    good: ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    badReason: 'GroupVersionParsingFailed',
    bad: () => undefined,
  },
  {
    type: 'NamespaceDeletionContentFailure',
    good: ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    badReason: 'ContentDeletionFailed',
    bad: ({ errors }) =>
      errors.length === 0
        ? undefined
        : `Failed to delete all resource types, ${errors.length} remaining: ${[...errors].sort().join(', ')}`,
  },
  {
    type: 'NamespaceContentRemaining',
    good: ['ContentRemoved', 'All content successfully removed'],
    badReason: 'SomeResourcesRemain',
    bad: ({ counts }) => {
      const parts = sorted(counts).map(([name, count]) => `${name} has ${count} resource instances`);
      return parts.length === 0 ? undefined : `Some resources are remaining: ${parts.join(', ')}`;
    },
  },
  {
    type: 'NamespaceFinalizersRemaining',
    good: ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    badReason: 'SomeFinalizersRemain',
    bad: ({ finalizers }) => {
      const parts = sorted(finalizers).map(([name, count]) => `${name} in ${count} resource instances`);
      return parts.length === 0
        ? undefined
        : `Some content in the namespace has finalizers remaining: ${parts.join(', ')}`;
    },
  },
];

function sorted(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The namespace's conditions as the last round of deleting leaves them; the same array when nothing changes. */
export function deletionConditions(
  old: readonly NamespaceCondition[] | undefined,
  content: RemainingContent,
  now: Date,
): NamespaceCondition[] {
  let conditions = (old ?? []) as NamespaceCondition[];
  for (const form of forms) {
    const bad = form.bad(content);
    const [reason, message] = bad === undefined ? form.good : [form.badReason, bad];
    conditions = withCondition(
      conditions,
      { type: form.type, status: bad === undefined ? 'False' : 'True', reason, message },
      now,
    );
  }
  return conditions;
}
