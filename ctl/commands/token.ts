import type { Command } from 'commander';
import type {
  CreateTokenResponse,
  DeleteTokenResponse,
  ListTokensResponse,
} from '../../proto/generated/balsa/control/v1/control.ts';
import { formatAge, formatColumns } from '../columns.ts';
import { type ConnectionFlags, connect } from '../connection.ts';

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `24h`, `1h30m`: seconds. */
function parseTtl(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitSeconds[unit ?? ''] ?? 0), 0);
  if (parts.map(([part]) => part).join('') !== text || seconds === 0)
    throw new Error(`--ttl ${text}: a time such as 30m, 24h or 7d`);
  return seconds;
}

/** `balsactl token create | list | delete`. */
export function addToken(program: Command): void {
  const token = program.command('token').description('tokens that let nodes join the cluster');
  const connected = () => connect(program.opts<ConnectionFlags>());
  token
    .command('create')
    .description('make a token and print it')
    .option('--role <role>', 'what the node may become: agent or server', 'agent')
    .option('--ttl <time>', 'how long the token admits nodes', '24h')
    .option('--description <text>', 'a note for people', '')
    .action(async (flags: { role: string; ttl: string; description: string }) => {
      const { role, description } = flags;
      const ttlSeconds = BigInt(parseTtl(flags.ttl));
      const client = connected();
      const reply = await new Promise<CreateTokenResponse>((resolve, reject) =>
        client.createToken({ role, ttlSeconds, description }, (error, value) =>
          error === null ? resolve(value) : reject(error),
        ),
      );
      client.close();
      process.stdout.write(`${reply.token}\n`);
      const asServer = role === 'server' ? ' --role server,agent' : '';
      process.stderr.write(`hint: balsad join ${reply.address}${asServer} --token ${reply.token}\n`);
    });
  token
    .command('list')
    .description('tokens there are, without their secrets')
    .action(async () => {
      const client = connected();
      const reply = await new Promise<ListTokensResponse>((resolve, reject) =>
        client.listTokens({}, (error, value) => (error === null ? resolve(value) : reject(error))),
      );
      client.close();
      const left = (unixSeconds: bigint): string => {
        if (unixSeconds === 0n) return '<never>';
        const seconds = Number(unixSeconds) - Date.now() / 1000;
        return seconds <= 0 ? '<expired>' : formatAge(seconds);
      };
      const rows = reply.tokens.map(({ id, role, expiresUnixSeconds, description }) => [
        id,
        role || '<none>',
        left(expiresUnixSeconds),
        description,
      ]);
      process.stdout.write(formatColumns(['id', 'role', 'expires', 'description'], rows));
    });
  token
    .command('delete <id>')
    .description('make a token worthless; the id is its part before the dot')
    .action(async (id: string) => {
      const client = connected();
      await new Promise<DeleteTokenResponse>((resolve, reject) =>
        client.deleteToken({ id: id.split('.')[0] ?? '' }, (error, value) =>
          error === null ? resolve(value) : reject(error),
        ),
      );
      client.close();
      process.stdout.write(`token ${id.split('.')[0]} deleted\n`);
    });
}
