import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { Table } from '../../daemon/apimachinery/table.ts';
import {
  type GetRequest,
  GetRequest_Format,
  type GetResponse,
  type WatchResponse,
} from '../../proto/generated/balsa/control/v1/control.ts';
import { formatColumns } from '../columns.ts';
import { type ConnectionFlags, connect } from '../connection.ts';

interface GetFlags {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly output?: 'json' | 'yaml' | 'wide' | 'name';
  readonly watch?: boolean;
}

const formats = new Set([undefined, 'json', 'yaml', 'wide', 'name']);

function printTable(table: Table, wide: boolean, withNamespace: boolean, headings: boolean): string {
  const shown = table.columnDefinitions
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => wide || column.priority === 0);
  const names = [...(withNamespace ? ['namespace'] : []), ...shown.map(({ column }) => column.name)];
  const rows = (table.rows ?? []).map((row) => [
    ...(withNamespace ? [row.object?.metadata?.namespace ?? ''] : []),
    ...shown.map(({ index }) => String(row.cells[index] ?? '<none>')),
  ]);
  const text = formatColumns(names, rows);
  return headings ? text : text.slice(text.indexOf('\n') + 1);
}

/** `balsactl get <resource> [name]`. */
export function addGet(program: Command): void {
  program
    .command('get <resource> [name]')
    .description('show objects: as a table, or whole with -o json|yaml')
    .option('-n, --namespace <name>', 'namespace (default: default)')
    .option('-A, --all-namespaces', 'objects of every namespace')
    .option('-l, --selector <labels>', 'only objects with these labels')
    .option('--field-selector <fields>', 'only objects with these fields')
    .option('-o, --output <format>', 'json, yaml, wide or name')
    .option('-w, --watch', 'go on showing changes')
    .action(async (resource: string, name: string | undefined, flags: GetFlags) => {
      if (!formats.has(flags.output)) throw new Error(`-o ${flags.output}: one of json, yaml, wide, name`);
      const client = connect(program.opts<ConnectionFlags>());
      const whole = flags.output === 'json' || flags.output === 'yaml';
      const request: GetRequest = {
        resource,
        namespace: flags.namespace ?? '',
        allNamespaces: flags.allNamespaces ?? false,
        name: name ?? '',
        labelSelector: flags.selector ?? '',
        fieldSelector: flags.fieldSelector ?? '',
        format: whole ? GetRequest_Format.JSON : GetRequest_Format.TABLE,
      };
      const reply = await new Promise<GetResponse>((resolve, reject) =>
        client.get(request, (error, value) => (error === null ? resolve(value) : reject(error))),
      );
      const body: unknown = JSON.parse(reply.body.toString('utf8'));
      const withNamespace = request.allNamespaces && reply.namespaced;
      if (whole) process.stdout.write(flags.output === 'yaml' ? stringify(body) : `${JSON.stringify(body, null, 2)}\n`);
      else if (flags.output === 'name')
        for (const row of (body as Table).rows ?? [])
          process.stdout.write(`${resource}/${row.object?.metadata?.name}\n`);
      else if ((body as Table).rows?.length === 0) process.stderr.write('No resources found\n');
      else process.stdout.write(printTable(body as Table, flags.output === 'wide', withNamespace, true));
      if (flags.watch !== true) return client.close();
      for await (const { event } of client.watch(request) as unknown as AsyncIterable<WatchResponse>) {
        const { object } = JSON.parse(event.toString('utf8')) as { object: Table };
        process.stdout.write(
          whole ? `${JSON.stringify(object)}\n` : printTable(object, flags.output === 'wide', withNamespace, false),
        );
      }
    });
}
