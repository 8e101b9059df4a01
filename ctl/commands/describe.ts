import type { Command } from 'commander';
import type { KubernetesObject } from '../../daemon/apimachinery/resource.ts';
import type { Event } from '../../daemon/apimachinery/types/core-v1.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { describeObject } from '../describe.ts';
import { get, list, parseReference } from '../objects.ts';

/** `balsactl describe <resource>/<name>`: one object and what happened to it. */
export function addDescribe(program: Command): void {
  program
    .command('describe <resource> [name]')
    .description('one object for people to read, with what happened to it')
    .option('-n, --namespace <name>', 'namespace (default: default)')
    .action(async (resource: string, name: string | undefined, flags: { namespace?: string }) => {
      const reference = parseReference(resource, name, flags.namespace);
      const client = connect(program.opts<ConnectionFlags>());
      const object = await get<KubernetesObject>(client, reference);
      const { kind, metadata } = object;
      const events = await list<Event>(client, {
        resource: 'events',
        namespace: metadata?.namespace ?? '',
        // What happens to a Node or another object without namespace is told in any of them.
        allNamespaces: metadata?.namespace === undefined,
        fieldSelector: `involvedObject.kind=${kind},involvedObject.name=${metadata?.name}`,
      });
      client.close();
      process.stdout.write(describeObject(object, events, Date.now()));
    });
}
