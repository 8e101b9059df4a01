import type { FieldError } from '../../resources/resource-row.ts';

/** The Pod Security Standards, from the one that allows everything to the one that allows least. */
export const levels = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof levels)[number];

/** A standard as it was in a minor version of Kubernetes; Infinity: the latest. */
export interface LevelVersion {
  readonly level: Level;
  readonly minor: number;
}

/** What a namespace asks for: refuse, note in the audit log, or tell the user. */
export interface Policy {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
  /** Labels that say nothing known. */
  readonly errors: readonly FieldError[];
}

export const latest = Number.POSITIVE_INFINITY;
const prefix = 'pod-security.kubernetes.io/';

/** `restricted:latest`, `baseline:v1.29`. */
export function describeLevel({ level, minor }: LevelVersion): string {
  return `${level}:${minor === latest ? 'latest' : `v1.${minor}`}`;
}

export function isStricter(level: Level, than: Level): boolean {
  return levels.indexOf(level) > levels.indexOf(than);
}

/**
 * Reads `pod-security.kubernetes.io/{enforce,audit,warn}[-version]`. A label that cannot be read counts as the strictest:
 * a spelling mistake must not open a namespace. `warn` follows a stricter `enforce` unless it is set.
 */
export function policyOf(labels: Readonly<Record<string, string>> = {}): Policy {
  const errors: FieldError[] = [];
  const read = (mode: string): LevelVersion => {
    const level = labels[`${prefix}${mode}`];
    const version = labels[`${prefix}${mode}-version`];
    const known = levels.find((entry) => entry === level);
    if (level !== undefined && known === undefined) {
      errors.push(unreadable(mode, level, 'must be one of privileged, baseline, restricted'));
    }
    const minor = version === undefined || version === 'latest' ? latest : /^v1\.(0|[1-9]\d*)$/.exec(version)?.[1];
    if (minor === undefined) {
      errors.push(unreadable(`${mode}-version`, version ?? '', 'must be "latest" or "v1.x"'));
    }
    return {
      level: known ?? (level === undefined ? 'privileged' : 'restricted'),
      minor: minor === undefined ? latest : Number(minor),
    };
  };
  const enforce = read('enforce');
  const audit = read('audit');
  const warn = read('warn');
  const follows = labels[`${prefix}warn`] === undefined && isStricter(enforce.level, warn.level);
  const minor = labels[`${prefix}warn-version`] === undefined ? enforce.minor : warn.minor;
  return { enforce, audit, warn: follows ? { level: enforce.level, minor } : warn, errors };
}

function unreadable(label: string, value: string, rule: string): FieldError {
  return {
    type: 'FieldValueInvalid',
    field: `metadata.labels[${prefix}${label}]`,
    detail: `Invalid value: ${JSON.stringify(value)}: ${rule}`,
  };
}
