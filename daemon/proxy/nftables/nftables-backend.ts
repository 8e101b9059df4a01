import type { Logger } from '../../log/logger.ts';
import { ipFamilies } from '../ip-families.ts';
import { isNetlinkError, type Netlink, type NftablesElements, type NftablesOperation } from '../netlink.ts';
import type { Applied, IpFamily, RuleBackend, ServicePortRule, ServiceRules } from '../service-rules.ts';
import { parsePrefix } from './addresses.ts';
import { affinityTargets } from './elements.ts';
import { Layout } from './layout.ts';
import { type SetName, tableName } from './table.ts';
import { TableState } from './table-state.ts';

export interface NftablesOptions {
  readonly netlink: Netlink;
  readonly logger: Logger;
  /** CIDRs of the cluster's pods, at most one for each family. */
  readonly clusterPodCidrs: readonly string[];
  readonly nodeIps: readonly string[];
  readonly families?: readonly IpFamily[];
}

/**
 * Keeps one nf_tables table for each IP family. Every `sync` is one netlink transaction in which packets see the old table
 * or the new, and which carries only the elements that changed. The first `sync`, and the first after an error, replaces
 * the whole table in one transaction too, with the clients' affinity carried over.
 */
export class NftablesBackend implements RuleBackend {
  readonly name = 'nftables';
  readonly #netlink: Netlink;
  readonly #logger: Logger;
  readonly #layouts: readonly Layout[];
  readonly #nodeIps: readonly string[];
  /** What the kernel holds; absent: not known. */
  readonly #states = new Map<IpFamily, TableState>();
  readonly #handles = new Map<IpFamily, number | null>();
  #written: ReadonlyMap<string, ServicePortRule> = new Map();

  constructor(options: NftablesOptions) {
    this.#netlink = options.netlink;
    this.#logger = options.logger;
    this.#nodeIps = options.nodeIps;
    const prefixes = options.clusterPodCidrs.flatMap((cidr) => parsePrefix(cidr) ?? []);
    this.#layouts = (options.families ?? ipFamilies()).map(
      (family) =>
        new Layout(
          family,
          prefixes.find((prefix) => prefix.first.length === (family === 'ip' ? 4 : 16)),
        ),
    );
  }

  async sync(desired: ServiceRules): Promise<Applied> {
    if (this.#states.size === 0) return this.#replace(desired);
    try {
      return await this.#change(desired);
    } catch (error) {
      this.#forget();
      if (!isNetlinkError(error)) throw error;
      // Somebody else changed the table: what was written last is not what is there.
      this.#logger.warn({ err: error }, 'incremental change of the service table failed; replacing it');
      return this.#replace(desired);
    }
  }

  async intact(): Promise<boolean> {
    if (this.#states.size === 0) return false;
    for (const { family } of this.#layouts) {
      const handle = await this.#netlink.nftablesTable(family, tableName);
      if (handle === null || handle !== this.#handles.get(family)) {
        this.#forget();
        return false;
      }
    }
    return true;
  }

  async cleanup(): Promise<void> {
    this.#forget();
    const operations = this.#layouts.flatMap(({ family }): NftablesOperation[] => [
      { operation: 'addTable', family, table: tableName },
      { operation: 'deleteTable', family, table: tableName },
    ]);
    await this.#netlink.nftablesCommit(operations);
  }

  #forget(): void {
    this.#states.clear();
    this.#handles.clear();
    this.#written = new Map();
  }

  async #replace(desired: ServiceRules): Promise<Applied> {
    const operations: NftablesOperation[] = [];
    const states = new Map<IpFamily, TableState>();
    let added = 0;
    const conflicts: string[] = [];
    for (const layout of this.#layouts) {
      const { family } = layout;
      const state = new TableState(layout, this.#nodeIps);
      for (const rule of desired.ports.values()) if (rule.family === family) state.add(rule);
      const change = state.takeChange();
      operations.push(
        // Adding first lets the deletion succeed whether there was one or not.
        { operation: 'addTable', family, table: tableName },
        { operation: 'deleteTable', family, table: tableName },
        ...layout.create(),
        ...change.operations,
        ...(await this.#rememberedClients(layout, desired)),
      );
      added += change.added;
      conflicts.push(...state.conflicts);
      states.set(family, state);
    }
    await this.#netlink.nftablesCommit(operations);
    for (const { family } of this.#layouts) {
      this.#handles.set(family, await this.#netlink.nftablesTable(family, tableName));
    }
    for (const [family, state] of states) this.#states.set(family, state);
    this.#written = desired.ports;
    return { added, removed: 0, full: true, conflicts };
  }

  async #change(desired: ServiceRules): Promise<Applied> {
    const before = this.#written;
    const affinityChanged: ServicePortRule[] = [];
    for (const [key, rule] of before) {
      if (desired.ports.get(key) === rule) continue;
      this.#states.get(rule.family)?.remove(rule);
      if (rule.affinitySeconds > 0) affinityChanged.push(rule);
    }
    for (const [key, rule] of desired.ports) {
      if (before.get(key) !== rule) this.#states.get(rule.family)?.add(rule);
    }
    let added = 0;
    let removed = 0;
    const operations: NftablesOperation[] = [];
    const conflicts: string[] = [];
    for (const state of this.#states.values()) {
      state.retryConflicts();
      const change = state.takeChange();
      operations.push(...change.operations);
      added += change.added;
      removed += change.removed;
      conflicts.push(...state.conflicts);
    }
    if (operations.length > 0) await this.#netlink.nftablesCommit(operations);
    this.#written = desired.ports;
    if (affinityChanged.length > 0) await this.#forgetStaleClients(affinityChanged, desired);
    return { added, removed, full: false, conflicts };
  }

  /** Elements that carry the clients' affinity into a new table, for endpoints that still serve. */
  async #rememberedClients(layout: Layout, desired: ServiceRules): Promise<NftablesOperation[]> {
    const operations: NftablesOperation[] = [];
    const allowed = allowedTargets(desired, layout.family);
    for (const set of ['affinity', 'nodeport-affinity'] as const) {
      const { keyLength, dataLength } = layout.sets.get(set)!;
      let dump: NftablesElements;
      try {
        dump = await this.#netlink.nftablesElements(layout.family, tableName, set);
      } catch (error) {
        if (isNetlinkError(error)) return []; // There is no table yet, or one of another form.
        throw error;
      }
      if (dump.keys.length !== dump.count * keyLength || dump.data.length !== dump.count * dataLength) continue;
      const kept = affinityIndices(dump, layout, set, (service, target) => allowed.get(service)?.has(target) === true);
      if (kept.length === 0) continue;
      operations.push({
        operation: 'addElements',
        family: layout.family,
        table: tableName,
        set,
        keyLength,
        dataLength,
        keys: gather(dump.keys, keyLength, kept),
        data: gather(dump.data, dataLength, kept),
        timeouts: Float64Array.from(kept, (index) => dump.timeouts[index]!),
        expirations: Float64Array.from(kept, (index) => dump.expirations[index]!),
      });
    }
    return operations;
  }

  /** Clients whose endpoint is gone would be sent there until their affinity times out. */
  async #forgetStaleClients(changed: readonly ServicePortRule[], desired: ServiceRules): Promise<void> {
    for (const layout of this.#layouts) {
      const rules = changed.filter((rule) => rule.family === layout.family);
      if (rules.length === 0) continue;
      const touched = new Set(
        rules.flatMap((rule) => [...affinityTargets(rule).services, ...affinityTargets(rule).nodePorts]),
      );
      const allowed = allowedTargets(desired, layout.family);
      for (const set of ['affinity', 'nodeport-affinity'] as const) {
        await this.#deleteClients(
          layout,
          set,
          (service, target) => touched.has(service) && allowed.get(service)?.has(target) !== true,
        );
      }
    }
  }

  async #deleteClients(
    layout: Layout,
    set: SetName,
    isStale: (service: string, target: string) => boolean,
  ): Promise<void> {
    const { keyLength } = layout.sets.get(set)!;
    for (let attempt = 0; ; attempt++) {
      const dump = await this.#netlink.nftablesElements(layout.family, tableName, set);
      const stale = affinityIndices(dump, layout, set, isStale);
      if (stale.length === 0) return;
      try {
        await this.#netlink.nftablesCommit([
          {
            operation: 'deleteElements',
            family: layout.family,
            table: tableName,
            set,
            keyLength,
            keys: gather(dump.keys, keyLength, stale),
          },
        ]);
        return;
      } catch (error) {
        // One of them timed out in between.
        if (!isNetlinkError(error, 'ENOENT') || attempt === 5) throw error;
      }
    }
  }
}

/** For each service key of the affinity maps: where its clients may be sent. */
function allowedTargets(desired: ServiceRules, family: IpFamily): Map<string, ReadonlySet<string>> {
  const allowed = new Map<string, ReadonlySet<string>>();
  for (const rule of desired.ports.values()) {
    if (rule.family !== family || rule.affinitySeconds === 0) continue;
    const { services, nodePorts, targets } = affinityTargets(rule);
    for (const key of [...services, ...nodePorts]) allowed.set(key, targets);
  }
  return allowed;
}

function affinityIndices(
  dump: NftablesElements,
  layout: Layout,
  set: SetName,
  wanted: (service: string, target: string) => boolean,
): number[] {
  const { keyLength, dataLength } = layout.sets.get(set)!;
  const clientLength = layout.family === 'ip' ? 4 : 16;
  const indices: number[] = [];
  for (let index = 0; index < dump.count; index++) {
    const service = dump.keys.toString('latin1', index * keyLength + clientLength, (index + 1) * keyLength);
    const target = dump.data.toString('latin1', index * dataLength, (index + 1) * dataLength);
    if (wanted(service, target)) indices.push(index);
  }
  return indices;
}

function gather(packed: Buffer, length: number, indices: readonly number[]): Buffer {
  return Buffer.concat(indices.map((index) => packed.subarray(index * length, (index + 1) * length)));
}
