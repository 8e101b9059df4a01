import type { Command } from 'commander';
import type { DeleteResponse } from '../../proto/generated/balsa/control/v1/control.ts';
import { type ConnectionFlags, connect } from '../connection.ts';

interface DeleteFlags {
  readonly namespace?: string;
  readonly selector?: string;
  readonly gracePeriod?: string;
}

/** `balsactl delete <resource> [name]`. */
export function addDelete(program: Command): void {
  program
    .command('delete <resource> [name]')
    .description('delete an object by name, or those that a selector matches')
    .option('-n, --namespace <name>', 'namespace (default: default)')
    .option('-l, --selector <labels>', 'delete all objects with these labels')
    .option('--grace-period <seconds>', 'time a pod has to end by itself')
    .action(async (resource: string, name: string | undefined, flags: DeleteFlags) => {
      if ((name === undefined) === (flags.selector === undefined))
        throw new Error('name one object, or select with -l, but not both');
      if (flags.gracePeriod !== undefined && !/^\d+$/.test(flags.gracePeriod))
        throw new Error(`--grace-period ${flags.gracePeriod}: a number of seconds`);
      const client = connect(program.opts<ConnectionFlags>());
      const request = {
        resource,
        namespace: flags.namespace ?? '',
        name: name ?? '',
        labelSelector: flags.selector ?? '',
        ...(flags.gracePeriod === undefined ? {} : { gracePeriodSeconds: BigInt(flags.gracePeriod) }),
      };
      const reply = await new Promise<DeleteResponse>((resolve, reject) =>
        client.delete(request, (error, value) => (error === null ? resolve(value) : reject(error))),
      );
      client.close();
      for (const object of reply.objects) process.stdout.write(`${object} deleted\n`);
      if (reply.objects.length === 0) process.stderr.write('No resources found\n');
    });
}
