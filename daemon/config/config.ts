import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { AddressPool } from '../loadbalancer/address-pool.ts';
import { defaultNodeIp, defaultNodeName, nthAddress } from './host-facts.ts';
import { type Config, environmentName, kebab, type OptionRow, optionRows } from './options.ts';
import { ConfigError, parseOption } from './parse.ts';

export type { Config } from './options.ts';
export { ConfigError } from './parse.ts';

const rows: readonly OptionRow[] = optionRows;

/** Adds every option of `balsad` to a command. */
export function addConfigOptions(command: Command): Command {
  command.option('--config <file>', 'YAML file of options (camelCase keys)');
  for (const row of rows) {
    const shown = row.fallback === undefined ? '' : ` (default: ${[row.fallback].flat().join(',') || 'none'})`;
    const option = new Option(`--${kebab(row.name)} <${row.kind}>`, row.help + shown);
    command.addOption(option);
  }
  return command;
}

function readFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`--config: cannot read ${path}: ${(error as Error).message}`);
  }
  let parsed: unknown;
  try {
    parsed = parseYaml(text);
  } catch (error) {
    throw new ConfigError(`${path}: not valid YAML: ${(error as Error).message}`);
  }
  if (parsed === null || parsed === undefined) return {};
  if (typeof parsed !== 'object' || Array.isArray(parsed)) throw new ConfigError(`${path}: must be a map of options`);
  const known = new Set(rows.map((row) => row.name));
  for (const key of Object.keys(parsed))
    if (!known.has(key)) throw new ConfigError(`${path}: unknown option ${JSON.stringify(key)}`);
  return parsed as Record<string, unknown>;
}

/**
 * The configuration of this node from flags, environment and file, in that order of precedence.
 * Throws ConfigError, which names the source and the rule that is broken.
 */
export function loadConfig(flags: Record<string, unknown>, environment: NodeJS.ProcessEnv): Config {
  const file = flags['config'] ?? environment['BALSA_CONFIG'];
  const fromFile = file === undefined ? {} : readFile(String(file));
  const values: Record<string, unknown> = {};
  for (const row of rows) {
    const variable = environmentName(row.name);
    if (flags[row.name] !== undefined) values[row.name] = parseOption(row, `--${kebab(row.name)}`, flags[row.name]);
    else if (environment[variable] !== undefined) values[row.name] = parseOption(row, variable, environment[variable]);
    else if (fromFile[row.name] !== undefined)
      values[row.name] = parseOption(row, `${file}: ${row.name}`, fromFile[row.name]);
    else if (row.fallback !== undefined) values[row.name] = parseOption(row, 'default', row.fallback);
  }
  // Who joins a cluster lends it a hand; that it takes part in its government has to be said.
  const saysRole = [flags['role'], environment[environmentName('role')], fromFile['role']].some(
    (role) => role !== undefined,
  );
  if (values['join'] !== '' && !saysRole) values['role'] = ['agent'];
  values['nodeName'] ??= defaultNodeName();
  values['nodeIp'] ??= defaultNodeIp();
  values['clusterDns'] ??= nthAddress(String(values['serviceCidr']), 10);
  return validate(values as Config);
}

function validate(config: Config): Config {
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(config.nodeName) || config.nodeName.length > 253)
    throw new ConfigError(`--node-name: ${JSON.stringify(config.nodeName)} is not a DNS-1123 subdomain`);
  if (config.role.length === 0) throw new ConfigError('--role: at least one of server, agent');
  const prefix = Number(config.podCidr.split('/')[1]);
  if (config.nodeCidrMaskSize <= prefix || config.nodeCidrMaskSize > 30)
    throw new ConfigError(`--node-cidr-mask-size: ${config.nodeCidrMaskSize} must lie between ${prefix + 1} and 30`);
  try {
    new AddressPool(config.loadBalancerPool);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  return config;
}

/** Parses a command line without running anything; for tests and for `balsad --help`. */
export function configFromArguments(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Config {
  const command = addConfigOptions(new Command('balsad')).exitOverride();
  command.parse(args, { from: 'user' });
  return loadConfig(command.opts(), environment);
}
