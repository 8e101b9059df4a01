import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type ApplyResponse, ApplyResponse_Outcome } from '../../proto/generated/balsa/control/v1/control.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';

interface ApplyFlags {
  readonly filename: readonly string[];
  readonly namespace?: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
}

const outcomes: Record<ApplyResponse_Outcome, string> = {
  [ApplyResponse_Outcome.UNSPECIFIED]: 'applied',
  [ApplyResponse_Outcome.CREATED]: 'created',
  [ApplyResponse_Outcome.CONFIGURED]: 'configured',
  [ApplyResponse_Outcome.UNCHANGED]: 'unchanged',
  [ApplyResponse_Outcome.REFUSED]: 'refused',
};

function readDocuments(path: string): string {
  if (path === '-') return readFileSync(0, 'utf8');
  if (!statSync(path).isDirectory()) return readFileSync(path, 'utf8');
  return readdirSync(path)
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .sort()
    .map((name) => readFileSync(join(path, name), 'utf8'))
    .join('\n---\n');
}

/** `balsactl apply -f <file|directory|->`: server-side apply; exit code 1 when a document was refused. */
export function addApply(program: Command): void {
  program
    .command('apply')
    .description('create or change what the documents describe')
    .requiredOption('-f, --filename <path...>', 'YAML or JSON files, directories, or - for standard input')
    .option('-n, --namespace <name>', 'for documents that name none (default: default)')
    .option('--dry-run', 'change nothing, only check')
    .option('--force', 'take over fields that others own')
    .action(async (flags: ApplyFlags) => {
      const documents = flags.filename.map(readDocuments).join('\n---\n');
      const client = connect(program.opts<ConnectionFlags>());
      const request = {
        documents,
        namespace: flags.namespace ?? '',
        dryRun: flags.dryRun ?? false,
        force: flags.force ?? false,
      };
      for await (const reply of client.apply(request) as unknown as AsyncIterable<ApplyResponse>) {
        if (reply.outcome === ApplyResponse_Outcome.REFUSED) {
          process.stderr.write(`${reply.object} refused: ${reply.error}\n`);
          process.exitCode = exitCodes.refused;
        } else process.stdout.write(`${reply.object} ${outcomes[reply.outcome]}${flags.dryRun ? ' (dry run)' : ''}\n`);
      }
      client.close();
    });
}
