import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import t from 'tap';
import { completionScript, shells } from './completion.ts';

const program = new Command('balsactl').option('--server <host:port>', "the server's control API");
program.command('get <resource>').option('-n, --namespace <name>', 'namespace').option('-w, --watch', 'go on');
const rollout = program.command('rollout').description('follow a rollout');
rollout.command('status <resource>').option('--no-watch', 'say where it stands');
rollout.command('undo <resource>');

/** What bash would offer after these words. */
function offered(...words: string[]): string[] {
  const script = `${completionScript(program, 'bash')}
COMP_WORDS=(balsactl ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_balsactl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
}

t.test('bash offers commands, subcommands and options', async (t) => {
  t.same(offered('r'), ['rollout']);
  t.same(offered('rollout', ''), ['status', 'undo']);
  t.same(offered('rollout', 'status', '--'), ['--no-watch']);
  t.same(offered('get', 'depl'), ['deployments']);
});

t.test('bash does not take the value of an option for a command', async (t) => {
  t.same(offered('--server', 'rollout', 'g'), ['get']);
  t.same(offered('get', '-n', 'rollout', '--w'), ['--watch']);
});

t.test('each shell takes its script', async (t) => {
  for (const shell of Object.keys(shells)) {
    const script = completionScript(program, shell);
    t.match(script, 'rollout', shell);
    const installed = [`/bin/${shell}`, `/usr/bin/${shell}`].find((path) => existsSync(path));
    if (installed === undefined) t.comment(`${shell} is not installed here: its syntax is not checked`);
    else execFileSync(installed, ['-n', join(t.testdir({ script }), 'script')]);
  }
  t.match(completionScript(program, 'fish'), `-l server -r -d 'the server'\\''s control API'`);
  t.throws(() => completionScript(program, 'tcsh'), /one of bash, zsh, fish/);
});
