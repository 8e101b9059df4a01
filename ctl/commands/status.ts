import type { Command } from 'commander';
import type { StatusResponse } from '../../proto/generated/balsa/control/v1/control.ts';
import { formatAge, formatBytes, formatColumns } from '../columns.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { roleOf } from './member.ts';

const toJson = (reply: StatusResponse): string =>
  JSON.stringify(
    reply,
    (_, value: unknown) =>
      typeof value === 'bigint' ? (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()) : value,
    2,
  );

function print(reply: StatusResponse, now: number): string {
  const store = reply.store;
  const parts: string[] = [`Balsa ${reply.version}\n`];
  if (store !== undefined) {
    const health = store.errors.length > 0 ? `not healthy: ${store.errors.join('; ')}` : 'healthy';
    parts.push(
      `Store: ${health}; revision ${store.revision}, term ${store.raftTerm}, ${formatBytes(Number(store.diskSize))} on disk\n`,
    );
  }
  if (reply.members.length > 0) {
    parts.push(
      '\n',
      formatColumns(
        ['member', 'id', 'role', 'peer'],
        reply.members.map((member) => [
          member.name || '-',
          member.id.toString(16),
          roleOf(member),
          member.peerUrls.join(','),
        ]),
      ),
    );
  }
  const nodeStatus = (node: StatusResponse['nodes'][number]): string =>
    `${node.ready ? 'Ready' : 'NotReady'}${node.unschedulable ? ',SchedulingDisabled' : ''}`;
  parts.push(
    '\n',
    formatColumns(
      ['node', 'status', 'address', 'age', 'version', 'why'],
      reply.nodes.map((node) => [
        node.name,
        nodeStatus(node),
        node.internalIp,
        formatAge(now / 1000 - Number(node.createdUnixSeconds)),
        node.version,
        node.reason,
      ]),
    ),
    `\nPods: ${reply.podsReady} of ${reply.podsTotal} ready\n`,
  );
  if (reply.unhealthyPods.length > 0)
    parts.push(
      '\n',
      formatColumns(
        ['namespace', 'pod', 'reason', 'message'],
        reply.unhealthyPods.map((pod) => [pod.namespace, pod.name, pod.reason, pod.message]),
      ),
    );
  if (reply.unhealthyPodsLeftOut > 0) parts.push(`... and ${reply.unhealthyPodsLeftOut} more\n`);
  return parts.join('');
}

/** `balsactl status`: exit code 0 when the store, every node and every pod are well, else 1. */
export function addStatus(program: Command): void {
  program
    .command('status')
    .description('the cluster at a glance: store, members, nodes, pods that are not well')
    .option('-o, --output <format>', 'json')
    .action(async (flags: { output?: string }) => {
      const client = connect(program.opts<ConnectionFlags>());
      const reply = await new Promise<StatusResponse>((resolve, reject) =>
        client.status({}, (error, value) => (error === null ? resolve(value) : reject(error))),
      );
      client.close();
      process.stdout.write(flags.output === 'json' ? `${toJson(reply)}\n` : print(reply, Date.now()));
      const well =
        (reply.store?.errors.length ?? 0) === 0 &&
        reply.nodes.every((node) => node.ready) &&
        reply.unhealthyPods.length === 0;
      process.exitCode = well ? exitCodes.ok : exitCodes.refused;
    });
}
