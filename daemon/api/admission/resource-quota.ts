import { parseQuantity, type Quantity, zeroQuantity } from '../../apimachinery/quantity.ts';
import { inScope, type Usage, usageOf } from '../../apimachinery/quota-usage.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Pod, ResourceQuota } from '../../apimachinery/types/core-v1.ts';
import { cloneObject } from '../registry/clone-object.ts';
import type { Registry } from '../registry/registry.ts';
import type { WriteRequest } from '../registry/writes.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

/** Updates that can use more than before; those of other kinds cannot. */
const growing: ReadonlySet<string> = new Set(['services', 'persistentvolumeclaims', 'pods']);
const computeNames = /^(requests|limits)\.(cpu|memory|ephemeral-storage)$|^(cpu|memory|ephemeral-storage)$/;

/**
 * Objects that would use more than a ResourceQuota leaves are refused; what is let through is added to the quota's
 * `status.used` before it is stored. The quota controller gives back what goes.
 */
export function resourceQuota(registry: () => Registry, self: WriteRequest): AdmissionPlugin {
  /** Writes of one namespace's quotas, one after the other: concurrent creates would only lose to each other. */
  const turns = new Map<string, Promise<void>>();

  async function inTurn(namespace: string, act: () => Promise<void>): Promise<void> {
    const before = turns.get(namespace);
    const mine = (before ?? Promise.resolve()).catch(() => undefined).then(act);
    turns.set(namespace, mine);
    try {
      await mine;
    } finally {
      if (turns.get(namespace) === mine) turns.delete(namespace);
    }
  }

  return {
    name: 'ResourceQuota',
    operations: ['CREATE', 'UPDATE'],
    async validate(request) {
      const { namespace, row, subresource, operation } = request;
      if (namespace === '' || subresource !== '' || (operation === 'UPDATE' && !growing.has(row.handle.resource)))
        return;
      const quotas = registry().require('', 'v1', 'resourcequotas');
      const found = registry().hub.cacheOf(quotas).list(namespace);
      if (found.length === 0) return;
      await inTurn(namespace, async () => {
        for (const { name } of found) {
          const current = registry().objects.cached(quotas, `${namespace}/${name}`)?.object as
            | ResourceQuota
            | undefined;
          if (current === undefined || !concerns(request, current)) continue;
          const target = { row: quotas, namespace, name, subresource: 'status' };
          const charge = (quota: KubernetesObject) => charged(request, quota as ResourceQuota);
          await registry().writes.update(target, charge, { ...self, dryRun: request.dryRun });
        }
      });
    },
  };
}

function concerns(request: AdmissionRequest, quota: ResourceQuota): boolean {
  return claimOf(request, quota).size > 0 || missingAmounts(request, quota) !== '';
}

/** What the write adds to what the quota limits. */
function claimOf({ row, object, old }: AdmissionRequest, quota: ResourceQuota): Usage {
  const { handle } = row;
  const now = new Date();
  const claim: Usage = new Map();
  if (object === undefined || !inScope(quota.spec, handle, object)) return claim;
  const before = old === undefined ? new Map<string, Quantity>() : usageOf(handle, old, now);
  for (const [name, amount] of usageOf(handle, object, now)) {
    if (quota.status?.hard?.[name] === undefined) continue;
    const more = amount.sub(before.get(name) ?? zeroQuantity);
    if (more.compare(zeroQuantity) > 0) claim.set(name, more);
  }
  return claim;
}

function charged(request: AdmissionRequest, quota: ResourceQuota): ResourceQuota {
  const { row, name, object } = request;
  const refuse = (why: string) => forbidden(row.handle, name || (object?.metadata?.name ?? ''), why);
  const quotaName = quota.metadata.name!;
  const hard = quota.status?.hard ?? {};
  const used = { ...quota.status?.used };
  const missing = missingAmounts(request, quota);
  if (missing !== '') throw refuse(`failed quota: ${quotaName}: must specify ${missing}`);
  const claim = claimOf(request, quota);
  const unknown = [...claim.keys()].filter((key) => used[key] === undefined).sort();
  if (unknown.length > 0) throw refuse(`status unknown for quota: ${quotaName}, resources: ${unknown.join(',')}`);
  const exceeded = [...claim.keys()].filter(
    (key) => parseQuantity(used[key]!).add(claim.get(key)!).compare(parseQuantity(hard[key]!)) > 0,
  );
  if (exceeded.length > 0) {
    exceeded.sort();
    const list = (amountOf: (key: string) => string) => exceeded.map((key) => `${key}=${amountOf(key)}`).join(',');
    throw refuse(
      `exceeded quota: ${quotaName}, requested: ${list((key) => claim.get(key)!.toString())}, used: ${list((key) => used[key]!)}, limited: ${list((key) => hard[key]!)}`,
    );
  }
  for (const [key, amount] of claim) used[key] = parseQuantity(used[key]!).add(amount).toString();
  const next = cloneObject(quota);
  next.status = { hard, used };
  return next;
}

/** Amounts that the quota limits and a new pod's container does not state: `limits.cpu for: web`. */
function missingAmounts({ operation, row, object }: AdmissionRequest, quota: ResourceQuota): string {
  const { handle } = row;
  if (operation !== 'CREATE' || handle.resource !== 'pods' || handle.group !== '') return '';
  if (object === undefined || !inScope(quota.spec, handle, object)) return '';
  const pod = object as Pod;
  const limited = Object.keys(quota.status?.hard ?? {});
  const parts: string[] = [];
  for (const name of limited.filter((candidate) => computeNames.test(candidate)).sort()) {
    const [kind, amount] = name.startsWith('limits.')
      ? (['limits', name.slice('limits.'.length)] as const)
      : (['requests', name.replace(/^requests\./, '')] as const);
    const without = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
      .filter(({ resources }) => resources?.[kind]?.[amount] === undefined)
      .map((container) => container.name);
    if (without.length > 0) parts.push(`${name} for: ${without.join(',')}`);
  }
  return parts.join('; ');
}
