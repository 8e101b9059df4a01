import type { Command } from 'commander';
import { completionScript } from '../completion.ts';

/** `balsactl completion bash|zsh|fish`: prints the script for that shell to source. */
export function addCompletion(program: Command): void {
  program
    .command('completion <shell>')
    .description('print the completion script of bash, zsh or fish')
    .action((shell: string) => {
      process.stdout.write(completionScript(program, shell));
    });
}
