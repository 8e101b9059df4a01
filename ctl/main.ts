import { Command, CommanderError } from 'commander';
import { version } from '../daemon/version.ts';
import { addApply } from './commands/apply.ts';
import { addCompletion } from './commands/completion.ts';
import { addDelete } from './commands/delete.ts';
import { addDescribe } from './commands/describe.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEvents } from './commands/events.ts';
import { addGet } from './commands/get.ts';
import { addLogs } from './commands/logs.ts';
import { addMember } from './commands/member.ts';
import { addRollout } from './commands/rollout.ts';
import { addScale } from './commands/scale.ts';
import { addStatus } from './commands/status.ts';
import { addToken } from './commands/token.ts';
import { exitCodes, explainFailure } from './exit-codes.ts';

const program = new Command('balsactl')
  .description('Looks at and changes a Balsa cluster through its control API.')
  .version(version)
  .option('--kubeconfig <file>', "whose certificate to use (default: $KUBECONFIG, ~/.kube/config, the server's own)")
  .option('--server <host:port>', 'control API to call (default: the host of the kubeconfig, port 6440)')
  .showHelpAfterError('hint: balsactl help <command>')
  .exitOverride();

for (const add of [
  addStatus,
  addGet,
  addApply,
  addDelete,
  addLogs,
  addToken,
  addMember,
  addDoctor,
  addDescribe,
  addEvents,
  addScale,
  addRollout,
  addCompletion,
])
  add(program);
for (const command of program.commands) for (const each of [command, ...command.commands]) each.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  else process.exitCode = explainFailure(error);
}
