import type { Command } from 'commander';
import type { Event } from '../../daemon/apimachinery/types/core-v1.ts';
import { formatColumns } from '../columns.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { eventHeadings, eventRow, inOrder } from '../event-rows.ts';
import { list, parseReference, watch } from '../objects.ts';

interface EventsFlags {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly for?: string;
  readonly types?: string;
  readonly watch?: boolean;
  readonly output?: string;
}

/** `balsactl events`: what happened, oldest first. */
export function addEvents(program: Command): void {
  program
    .command('events')
    .description('what happened of late, oldest first')
    .option('-n, --namespace <name>', 'namespace (default: default)')
    .option('-A, --all-namespaces', 'events of every namespace')
    .option('--for <kind/name>', 'only what happened to this object, such as pod/web-0')
    .option('--types <types>', 'only these: Normal, Warning, parted by commas')
    .option('-w, --watch', 'go on showing what happens')
    .option('-o, --output <format>', 'json')
    .action(async (flags: EventsFlags) => {
      if (flags.output !== undefined && flags.output !== 'json') throw new Error(`-o ${flags.output}: only json`);
      const about = flags.for === undefined ? undefined : parseReference(flags.for, undefined, undefined);
      const types = flags.types?.toLowerCase().split(',');
      const wanted = (event: Event): boolean =>
        (about === undefined || event.involvedObject.kind?.toLowerCase() === about.resource.toLowerCase()) &&
        (types === undefined || types.includes((event.type ?? '').toLowerCase()));
      const request = {
        resource: 'events',
        namespace: flags.namespace ?? '',
        allNamespaces: flags.allNamespaces ?? false,
        fieldSelector: about === undefined ? '' : `involvedObject.name=${about.name}`,
      };
      const spaces = (event: Event): string[] => (flags.allNamespaces === true ? [event.metadata.namespace ?? ''] : []);
      const headings = [...(flags.allNamespaces === true ? ['namespace'] : []), ...eventHeadings];

      const client = connect(program.opts<ConnectionFlags>());
      const events = inOrder((await list<Event>(client, request)).filter(wanted));
      const rows = events.map((event) => [...spaces(event), ...eventRow(event, Date.now())]);
      if (flags.output === 'json') process.stdout.write(`${JSON.stringify(events, undefined, 2)}\n`);
      else if (rows.length === 0) process.stderr.write('No events found\n');
      else process.stdout.write(formatColumns(headings, rows));
      if (flags.watch === true) {
        const shown = new Set(events.map((event) => event.metadata.resourceVersion));
        for await (const { type, object } of watch<Event>(client, request)) {
          if (type === 'DELETED' || !wanted(object) || shown.has(object.metadata.resourceVersion)) continue;
          const row = [...spaces(object), ...eventRow(object, Date.now())];
          process.stdout.write(flags.output === 'json' ? `${JSON.stringify(object)}\n` : `${row.join('   ')}\n`);
        }
      }
      client.close();
    });
}
