import type { Command } from 'commander';
import { PatchRequest_Type } from '../../proto/generated/balsa/control/v1/control.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { parseReference, patch } from '../objects.ts';

/** `balsactl scale <resource>/<name> --replicas n`. */
export function addScale(program: Command): void {
  program
    .command('scale <resource> [name]')
    .description('set the number of replicas of a Deployment, ReplicaSet or StatefulSet')
    .requiredOption('--replicas <number>', 'how many there shall be')
    .option('-n, --namespace <name>', 'namespace (default: default)')
    .action(async (resource: string, name: string | undefined, flags: { replicas: string; namespace?: string }) => {
      if (!/^\d+$/.test(flags.replicas)) throw new Error(`--replicas ${flags.replicas}: a whole number`);
      const reference = parseReference(resource, name, flags.namespace);
      const client = connect(program.opts<ConnectionFlags>());
      const { object } = await patch(client, reference, {
        type: PatchRequest_Type.MERGE,
        subresource: 'scale',
        patch: { spec: { replicas: Number(flags.replicas) } },
      });
      client.close();
      process.stdout.write(`${object} scaled\n`);
    });
}
