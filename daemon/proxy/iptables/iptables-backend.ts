import type { Logger } from '../../log/logger.ts';
import { ipFamilies } from '../ip-families.ts';
import type { Applied, IpFamily, RuleBackend, ServicePortRule, ServiceRules } from '../service-rules.ts';
import { type IptablesRules, iptablesRules, jumps, type TableRules } from './chains.ts';
import { IptablesCommands, type IptablesVariant } from './commands.ts';

export interface IptablesOptions {
  readonly logger: Logger;
  readonly clusterPodCidrs: readonly string[];
  readonly nodeIps: readonly string[];
  readonly families?: readonly IpFamily[];
  readonly variant?: IptablesVariant;
}

const tables = ['filter', 'nat'] as const;
const canary = 'KUBE-PROXY-CANARY';

interface Family {
  readonly family: IpFamily;
  readonly commands: IptablesCommands;
  readonly clusterCidr: string | undefined;
  /** What the kernel holds; undefined: not known. */
  written: IptablesRules | undefined;
}

/**
 * kube-proxy's chains by `iptables-restore`, for kernels and hosts without nf_tables. Only chains that changed are written; a table is
 * changed in one step. What a packet costs grows with the number of Services.
 */
export class IptablesBackend implements RuleBackend {
  readonly name = 'iptables';
  readonly #options: IptablesOptions;
  readonly #families: readonly Family[];

  constructor(options: IptablesOptions) {
    this.#options = options;
    this.#families = (options.families ?? ipFamilies()).map((family) => ({
      family,
      commands: new IptablesCommands(family, options.variant ?? ''),
      clusterCidr: options.clusterPodCidrs.find((cidr) => cidr.includes(':') === (family === 'ip6')),
      written: undefined,
    }));
  }

  async sync(desired: ServiceRules): Promise<Applied> {
    let added = 0;
    let removed = 0;
    let full = false;
    for (const family of this.#families) {
      const rules = [...desired.ports.values()].filter((rule) => rule.family === family.family);
      const change = await this.#syncFamily(family, rules);
      added += change.added;
      removed += change.removed;
      full ||= change.full;
    }
    return { added, removed, full, conflicts: [] };
  }

  async intact(): Promise<boolean> {
    for (const family of this.#families) {
      if (family.written === undefined) return false;
      for (const table of tables) {
        if (await family.commands.try('-t', table, '-S', canary)) continue;
        family.written = undefined;
        return false;
      }
    }
    return true;
  }

  async cleanup(): Promise<void> {
    for (const { commands } of this.#families) {
      // Asked first, since on most hosts there is nothing, and each of the commands below is a process.
      if (ownChains(await commands.save()).length === 0) continue;
      for (const { table, from, match, to } of jumps) {
        while (await commands.try('-t', table, '-D', from, ...match, '-j', to));
      }
      for (const table of tables) {
        const chains = ownChains(await commands.save(table));
        if (chains.length === 0) continue;
        const lines = [...chains.map((chain) => `:${chain} - [0:0]`), ...chains.map((chain) => `-X ${chain}`)];
        await commands.restore(`*${table}\n${lines.join('\n')}\nCOMMIT\n`);
      }
    }
    for (const family of this.#families) family.written = undefined;
  }

  async #syncFamily(
    family: Family,
    rules: readonly ServicePortRule[],
  ): Promise<{ added: number; removed: number; full: boolean }> {
    const { commands, clusterCidr, written } = family;
    const desired = iptablesRules(rules, { family: family.family, clusterCidr, nodeIps: this.#options.nodeIps });
    for (const table of tables) desired[table].set(canary, []);
    family.written = undefined;
    let input = '';
    let added = 0;
    let removed = 0;
    for (const table of tables) {
      const before =
        written?.[table] ?? new Map(ownChains(await commands.save(table)).map((chain) => [chain, ['unknown']]));
      const change = difference(before, desired[table]);
      added += change.added;
      removed += change.removed;
      if (change.lines.length > 0) input += `*${table}\n${change.lines.join('\n')}\nCOMMIT\n`;
    }
    if (input !== '') await commands.restore(input);
    if (written === undefined) await this.#ensureJumps(commands);
    family.written = desired;
    return { added, removed, full: written === undefined };
  }

  async #ensureJumps(commands: IptablesCommands): Promise<void> {
    for (const { table, from, match, to } of jumps) {
      if (await commands.try('-t', table, '-C', from, ...match, '-j', to)) continue;
      await commands.run('-t', table, '-I', from, ...match, '-j', to);
    }
  }
}

/** The lines that turn one set of chains into the other. Naming a chain empties it. */
function difference(before: TableRules, after: TableRules): { lines: string[]; added: number; removed: number } {
  const declarations: string[] = [];
  const rules: string[] = [];
  const deletions: string[] = [];
  let added = 0;
  let removed = 0;
  for (const [chain, wanted] of after) {
    const present = before.get(chain);
    if (
      present !== undefined &&
      present.length === wanted.length &&
      present.every((rule, index) => rule === wanted[index])
    ) {
      continue;
    }
    declarations.push(`:${chain} - [0:0]`);
    for (const rule of wanted) rules.push(`-A ${chain} ${rule}`);
    added += wanted.length;
    removed += present?.length ?? 0;
  }
  for (const [chain, present] of before) {
    if (after.has(chain)) continue;
    declarations.push(`:${chain} - [0:0]`);
    deletions.push(`-X ${chain}`);
    removed += present.length;
  }
  return { lines: [...declarations, ...rules, ...deletions], added, removed };
}

/** Chains of a saved table that a service proxy made. */
function ownChains(saved: string): string[] {
  return [...saved.matchAll(/^:(KUBE-\S+) /gm)].map((match) => match[1]!);
}
