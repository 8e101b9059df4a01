import type { Command } from 'commander';
import type { MemberResponse, StatusResponse } from '../../proto/generated/balsa/control/v1/control.ts';
import { formatColumns } from '../columns.ts';
import { type ConnectionFlags, connect } from '../connection.ts';

type Member = StatusResponse['members'][number];

export const roleOf = (member: Member): string =>
  member.isLeader ? 'leader' : member.isLearner ? 'learner' : 'follower';

type Change = 'removeMember' | 'promoteMember' | 'transferLeader';

/** `balsactl member list | remove | promote`, and `balsactl leader transfer`. */
export function addMember(program: Command): void {
  const connected = () => connect(program.opts<ConnectionFlags>());
  const change = async (call: Change, member: string): Promise<Member | undefined> => {
    const client = connected();
    const reply = await new Promise<MemberResponse>((resolve, reject) =>
      client[call]({ member }, (error, value) => (error === null ? resolve(value) : reject(error))),
    );
    client.close();
    return reply.member;
  };
  const shown = (member: Member | undefined): string => `${member?.name || '-'} (${member?.id.toString(16)})`;

  const member = program.command('member').description('servers that hold the store');
  member
    .command('list')
    .description('the members of the store')
    .action(async () => {
      const client = connected();
      const reply = await new Promise<StatusResponse>((resolve, reject) =>
        client.status({}, (error, value) => (error === null ? resolve(value) : reject(error))),
      );
      client.close();
      const rows = reply.members.map((each) => [
        each.name || '-',
        each.id.toString(16),
        roleOf(each),
        each.peerUrls.join(','),
        each.clientUrls.join(','),
      ]);
      process.stdout.write(formatColumns(['name', 'id', 'role', 'peer', 'client'], rows));
    });
  member
    .command('remove <member>')
    .description('take a server out of the store, by name or id; its Node object stays')
    .action(async (name: string) => {
      process.stdout.write(`member ${shown(await change('removeMember', name))} removed\n`);
    });
  member
    .command('promote <member>')
    .description('make a learner that has caught up a voter')
    .action(async (name: string) => {
      process.stdout.write(`member ${shown(await change('promoteMember', name))} votes\n`);
    });
  program
    .command('leader')
    .description('who leads the store and runs the scheduler and the controllers')
    .command('transfer <member>')
    .description('hand the lead to another voter')
    .action(async (name: string) => {
      process.stdout.write(`member ${shown(await change('transferLeader', name))} leads\n`);
    });
}
