import { milliOf, tryParseQuantity, zeroQuantity } from '../../apimachinery/quantity.ts';
import type {
  Container,
  LimitRange,
  LimitRangeItem,
  PersistentVolumeClaim,
  Pod,
} from '../../apimachinery/types/core-v1.ts';
import type { Registry } from '../registry/registry.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

type Amounts = Readonly<Record<string, string>>;

/** The limit ranges of a namespace: what containers get that ask for nothing, and what they may ask for. */
export function limitRanger(registry: () => Registry): AdmissionPlugin {
  const ranges = (namespace: string): LimitRange[] =>
    registry()
      .hub.cacheOf(registry().require('', 'v1', 'limitranges'))
      .list(namespace)
      .map(({ object }) => object as LimitRange);
  return {
    name: 'LimitRanger',
    operations: ['CREATE'],
    resources: ['pods', 'persistentvolumeclaims'],
    admit({ namespace, object, row }) {
      if (row.handle.resource !== 'pods') return;
      for (const range of ranges(namespace)) applyDefaults(object as Pod, range);
    },
    validate(request) {
      for (const range of ranges(request.namespace)) {
        const problems =
          request.row.handle.resource === 'pods'
            ? podProblems(request.object as Pod, range)
            : claimProblems(request.object as PersistentVolumeClaim, range);
        if (problems.length > 0) throw refusal(request, problems);
      }
    },
  };
}

function refusal({ row, name, object }: AdmissionRequest, problems: readonly string[]): Error {
  const text = problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`;
  return forbidden(row.handle, name || (object?.metadata?.name ?? ''), text);
}

function itemsOf(range: LimitRange, type: string): LimitRangeItem[] {
  return (range.spec?.limits ?? []).filter((item) => item.type === type);
}

function applyDefaults(pod: Pod, range: LimitRange): void {
  const set: string[] = [];
  for (const item of itemsOf(range, 'Container')) {
    for (const kind of ['containers', 'initContainers'] as const) {
      for (const container of pod.spec?.[kind] ?? []) {
        const missing = fill(container, item);
        const role = kind === 'containers' ? 'container' : 'init container';
        if (missing.requests.length > 0)
          set.push(`${missing.requests.join(', ')} request for ${role} ${container.name}`);
        if (missing.limits.length > 0) set.push(`${missing.limits.join(', ')} limit for ${role} ${container.name}`);
      }
    }
  }
  if (set.length === 0) return;
  pod.metadata!.annotations = {
    ...pod.metadata!.annotations,
    'kubernetes.io/limit-ranger': `LimitRanger plugin set: ${set.join('; ')}`,
  };
}

function fill(container: Container, item: LimitRangeItem): { requests: string[]; limits: string[] } {
  const requests = { ...container.resources?.requests };
  const limits = { ...container.resources?.limits };
  const missing = { requests: [] as string[], limits: [] as string[] };
  for (const [name, amount] of Object.entries(item.default ?? {}).sort()) {
    if (limits[name] !== undefined) continue;
    limits[name] = amount;
    missing.limits.push(name);
  }
  for (const [name, amount] of Object.entries(item.defaultRequest ?? {}).sort()) {
    if (requests[name] !== undefined) continue;
    requests[name] = amount;
    missing.requests.push(name);
  }
  if (missing.requests.length > 0 || missing.limits.length > 0) {
    container.resources = {
      ...container.resources,
      ...(Object.keys(limits).length > 0 ? { limits } : {}),
      ...(Object.keys(requests).length > 0 ? { requests } : {}),
    };
  }
  return missing;
}

/** Sign of `a - b`; quantities were parsed when the objects were decoded. */
function compare(a: string, b: string): number {
  return (tryParseQuantity(a) ?? zeroQuantity).compare(tryParseQuantity(b) ?? zeroQuantity);
}

function problemsOf(type: string, item: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const problems: string[] = [];
  for (const [name, least] of Object.entries(item.min ?? {})) {
    const request = requests[name];
    const limit = limits[name];
    if (request === undefined) problems.push(`minimum ${name} usage per ${type} is ${least}.  No request is specified`);
    else if (compare(request, least) < 0)
      problems.push(`minimum ${name} usage per ${type} is ${least}, but request is ${request}`);
    if (limit !== undefined && compare(limit, least) < 0) {
      problems.push(`minimum ${name} usage per ${type} is ${least}, but limit is ${limit}`);
    }
  }
  for (const [name, most] of Object.entries(item.max ?? {})) {
    const request = requests[name];
    const limit = limits[name];
    if (limit === undefined) problems.push(`maximum ${name} usage per ${type} is ${most}.  No limit is specified`);
    else if (compare(limit, most) > 0)
      problems.push(`maximum ${name} usage per ${type} is ${most}, but limit is ${limit}`);
    if (request !== undefined && compare(request, most) > 0) {
      problems.push(`maximum ${name} usage per ${type} is ${most}, but request is ${request}`);
    }
  }
  return problems;
}

/** A limit may be so many times the request, and no more. */
function ratioProblems(type: string, item: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  return Object.entries(item.maxLimitRequestRatio ?? {}).flatMap(([name, most]) => {
    const request = requests[name];
    const limit = limits[name];
    const what = `${name} max limit to request ratio per ${type} is ${most}`;
    if (request === undefined || milliOf(request) === 0) {
      return [`${what}, but no request is specified or request is 0`];
    }
    if (limit === undefined || milliOf(limit) === 0) return [`${what}, but no limit is specified or limit is 0`];
    const ratio = milliOf(limit) / milliOf(request);
    return ratio * 1000 > milliOf(most) ? [`${what}, but provided ratio is ${ratio.toFixed(6)}`] : [];
  });
}

function podProblems(pod: Pod, range: LimitRange): string[] {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const all = (type: string, item: LimitRangeItem, requests: Amounts, limits: Amounts) => [
    ...problemsOf(type, item, requests, limits),
    ...ratioProblems(type, item, requests, limits),
  ];
  return [
    ...itemsOf(range, 'Container').flatMap((item) =>
      containers.flatMap(({ resources }) => all('Container', item, resources?.requests ?? {}, resources?.limits ?? {})),
    ),
    ...itemsOf(range, 'Pod').flatMap((item) => all('Pod', item, podTotal(pod, 'requests'), podTotal(pod, 'limits'))),
  ];
}

/** The sum over the containers, or what the greatest init container has if that is more. */
function podTotal(pod: Pod, kind: 'requests' | 'limits'): Amounts {
  const total: Record<string, string> = {};
  for (const container of pod.spec?.containers ?? []) {
    for (const [name, amount] of Object.entries(container.resources?.[kind] ?? {})) {
      const sum = tryParseQuantity(total[name] ?? '0') ?? zeroQuantity;
      const more = tryParseQuantity(amount) ?? zeroQuantity;
      total[name] = (total[name] === undefined ? more : sum.add(more)).toString();
    }
  }
  for (const container of pod.spec?.initContainers ?? []) {
    for (const [name, amount] of Object.entries(container.resources?.[kind] ?? {})) {
      if (total[name] === undefined || compare(total[name], amount) < 0) total[name] = amount;
    }
  }
  return total;
}

/** A claim has requests only. */
function claimProblems(claim: PersistentVolumeClaim, range: LimitRange): string[] {
  const requests = claim.spec?.resources?.requests ?? {};
  const type = 'PersistentVolumeClaim';
  return itemsOf(range, type).flatMap((item) => [
    ...problemsOf(type, { type, ...(item.min === undefined ? {} : { min: item.min }) }, requests, {}),
    ...Object.entries(item.max ?? {}).flatMap(([name, most]) => {
      const request = requests[name];
      if (request === undefined) return [`maximum ${name} usage per ${type} is ${most}.  No request is specified`];
      return compare(request, most) > 0
        ? [`maximum ${name} usage per ${type} is ${most}, but request is ${request}`]
        : [];
    }),
  ]);
}
