import { spawn } from 'node:child_process';
import type { IpFamily } from '../service-rules.ts';

/** Which implementation: the host's default, or one by name. */
export type IptablesVariant = '' | 'nft' | 'legacy';

/** The `iptables` programs of one family. Each call waits for the lock that legacy iptables needs. */
export class IptablesCommands {
  readonly #prefix: string;

  constructor(family: IpFamily, variant: IptablesVariant) {
    const name = family === 'ip' ? 'iptables' : 'ip6tables';
    this.#prefix = variant === '' ? name : `${name}-${variant}`;
  }

  /** Applies the input's tables, each in one step, leaving chains alone that it does not name. */
  async restore(input: string): Promise<void> {
    await this.#run(`${this.#prefix}-restore`, ['--noflush', '--wait', '5'], input);
  }

  /** All tables, or one. */
  save(table?: string): Promise<string> {
    return this.#run(`${this.#prefix}-save`, table === undefined ? [] : ['-t', table]);
  }

  /** True when the program succeeded. */
  async try(...args: string[]): Promise<boolean> {
    try {
      await this.#run(this.#prefix, ['--wait', '5', ...args]);
      return true;
    } catch {
      return false;
    }
  }

  async run(...args: string[]): Promise<void> {
    await this.#run(this.#prefix, ['--wait', '5', ...args]);
  }

  #run(program: string, args: readonly string[], input = ''): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
      let output = '';
      let errors = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      // The program may end before it has read everything: its exit code says why.
      child.stdin.on('error', () => {});
      child.on('error', reject);
      child.on('close', (code) => {
        if (code === 0) resolve(output);
        else reject(new Error(`${program} ${args.join(' ')}: exit code ${code}: ${errors.trim()}`));
      });
      child.stdin.end(input);
    });
  }
}
