import type { Command } from 'commander';
import { examine, type Finding, type Verdict } from '../doctor/checks.ts';
import { gatherHostFacts } from '../doctor/host-facts.ts';
import { exitCodes } from '../exit-codes.ts';

interface DoctorFlags {
  readonly dataDir: string;
  readonly runDir: string;
  readonly cniBinDir: string;
  readonly role: string;
  readonly output?: string;
}

const colours: Record<Verdict, string> = { ok: '\x1b[32m', warning: '\x1b[33m', failure: '\x1b[31m' };
const labels: Record<Verdict, string> = { ok: 'OK', warning: 'warning', failure: 'FAILURE' };

/** A line for each finding, and a second, indented, that says what to do. */
export function printFindings(findings: readonly Finding[], coloured: boolean): string {
  const width = Math.max(...findings.map((finding) => finding.check.length));
  const lines = findings.flatMap(({ check, verdict, found, advice }) => {
    const label = labels[verdict].padEnd(7);
    const line = `${coloured ? `${colours[verdict]}${label}\x1b[0m` : label}  ${check.padEnd(width)}  ${found}\n`;
    return advice === '' ? [line] : [line, `${' '.repeat(width + 11)}-> ${advice}\n`];
  });
  const count = (verdict: Verdict): number => findings.filter((finding) => finding.verdict === verdict).length;
  const summary = `\nOK: ${count('ok')}, warnings: ${count('warning')}, failures: ${count('failure')}\n`;
  return lines.join('') + summary;
}

/** `balsactl doctor`: exit code 0 when balsad can run here, 1 when something stands in its way. Asks no server. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('look whether this host has what balsad needs, before or after it is installed')
    .option('--role <role>', 'server or agent: an agent listens on fewer ports', 'server')
    .option('--data-dir <directory>', "balsad's --data-dir", '/var/lib/balsa')
    .option('--run-dir <directory>', "balsad's --run-dir", '/run/balsa')
    .option('--cni-bin-dir <directory>', "balsad's --cni-bin-dir", '/usr/lib/cni')
    .option('-o, --output <format>', 'json')
    .action(async (flags: DoctorFlags) => {
      if (flags.role !== 'server' && flags.role !== 'agent') throw new Error(`--role ${flags.role}: server or agent`);
      if (flags.output !== undefined && flags.output !== 'json') throw new Error(`-o ${flags.output}: only json`);
      const findings = examine(await gatherHostFacts({ ...flags, server: flags.role === 'server' }));
      process.stdout.write(
        flags.output === 'json'
          ? `${JSON.stringify(findings, undefined, 2)}\n`
          : printFindings(findings, process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined),
      );
      process.exitCode = findings.some(({ verdict }) => verdict === 'failure') ? exitCodes.refused : exitCodes.ok;
    });
}
