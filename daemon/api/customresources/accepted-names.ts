import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
} from '../../apimachinery/types/apiextensions-v1.ts';
import { jsonEqual } from '../registry/deep-equal.ts';

export interface NameDecision {
  readonly accepted: CustomResourceDefinitionNames;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Names of one definition that the others of its group may not take. */
function takenBy(others: readonly CustomResourceDefinition[]) {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { status } of others) {
    const names = status?.acceptedNames;
    for (const name of [names?.plural, names?.singular, ...(names?.shortNames ?? [])]) if (name) resources.add(name);
    for (const kind of [names?.kind, names?.listKind]) if (kind) kinds.add(kind);
  }
  return { resources, kinds };
}

/** Which of the names that a definition asks for it gets; `others` are those of the same group. */
export function decideNames(crd: CustomResourceDefinition, others: readonly CustomResourceDefinition[]): NameDecision {
  const { names } = crd.spec;
  const before = crd.status?.acceptedNames;
  const taken = takenBy(others);
  const conflicts: { reason: string; message: string }[] = [];
  const decide = (value: string | undefined, set: ReadonlySet<string>, reason: string, old: string | undefined) => {
    if (!value || !set.has(value)) return value;
    conflicts.push({ reason, message: `${JSON.stringify(value)} is already in use` });
    return old;
  };
  const plural = decide(names.plural, taken.resources, 'PluralConflict', before?.plural) ?? '';
  const singular = decide(names.singular, taken.resources, 'SingularConflict', before?.singular);
  const clashing = (names.shortNames ?? []).filter((name) => taken.resources.has(name));
  for (const name of clashing) {
    conflicts.push({ reason: 'ShortNamesConflict', message: `${JSON.stringify(name)} is already in use` });
  }
  const shortNames = clashing.length > 0 ? before?.shortNames : names.shortNames;
  const kind = decide(names.kind, taken.kinds, 'KindConflict', before?.kind) ?? '';
  const listKind = decide(names.listKind, taken.kinds, 'ListKindConflict', before?.listKind);
  const accepted: CustomResourceDefinitionNames = {
    ...(names.categories === undefined ? {} : { categories: names.categories }),
    kind,
    ...(listKind === undefined ? {} : { listKind }),
    plural,
    ...(shortNames === undefined ? {} : { shortNames }),
    ...(singular === undefined ? {} : { singular }),
  };
  // Each check overwrites what the one before has found.
  const last = conflicts[conflicts.length - 1];
  if (last === undefined || jsonEqual(accepted, names)) {
    return { accepted, status: 'True', reason: 'NoConflicts', message: 'no conflicts found' };
  }
  return { accepted, status: 'False', ...last };
}
