import type { Command } from 'commander';
import type { LogsResponse } from '../../proto/generated/balsa/control/v1/control.ts';
import { type ConnectionFlags, connect } from '../connection.ts';

interface LogsFlags {
  readonly namespace?: string;
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly timestamps?: boolean;
  readonly tail?: string;
  readonly since?: string;
}

const wholeNumber = (flag: string, value: string | undefined): bigint | undefined => {
  if (value === undefined) return undefined;
  if (!/^\d+$/.test(value)) throw new Error(`${flag} ${value}: a whole number`);
  return BigInt(value);
};

/** `balsactl logs <pod>`. */
export function addLogs(program: Command): void {
  program
    .command('logs <pod>')
    .description('the output of a container')
    .option('-n, --namespace <name>', 'namespace (default: default)')
    .option('-c, --container <name>', 'container (default: the only one)')
    .option('-f, --follow', 'go on with what comes')
    .option('-p, --previous', 'the container before its last restart')
    .option('--timestamps', 'begin each line with its time')
    .option('--tail <lines>', 'only the last lines')
    .option('--since <seconds>', 'only what is younger')
    .action(async (pod: string, flags: LogsFlags) => {
      const client = connect(program.opts<ConnectionFlags>());
      const request = {
        namespace: flags.namespace ?? '',
        pod,
        container: flags.container ?? '',
        follow: flags.follow ?? false,
        previous: flags.previous ?? false,
        timestamps: flags.timestamps ?? false,
        tailLines: wholeNumber('--tail', flags.tail),
        sinceSeconds: wholeNumber('--since', flags.since),
      };
      for await (const { chunk } of client.logs(request) as unknown as AsyncIterable<LogsResponse>)
        process.stdout.write(chunk);
      client.close();
    });
}
