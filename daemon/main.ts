import { Command, CommanderError } from 'commander';
import { clean } from './cluster/clean.ts';
import { claimRunDir } from './cluster/run-dir.ts';
import { addConfigOptions, ConfigError, loadConfig } from './config/config.ts';
import { createLogger } from './log/logger.ts';
import { startNode } from './node.ts';
import { connectServiceManager } from './systemd/service-manager.ts';
import { version } from './version.ts';

/** After this long a stop is no longer orderly: something hangs, and state is safe in the store anyway. */
const stopTimeoutMs = 30_000;

let flags: Record<string, unknown> = {};

const command = addConfigOptions(new Command('balsad'))
  .description('Runs one node of a Balsa cluster in the foreground.')
  .version(version)
  .option('--clean', 'stop every pod of this node and remove all that balsad made, then exit')
  .helpCommand(false)
  .exitOverride()
  .action(() => {
    flags = command.opts();
  });

addConfigOptions(command.command('join <server>'))
  .description('Runs one node and makes it part of the cluster of <server>, host[:port]: short for --join <server>.')
  .exitOverride()
  .action((server: string, own: Record<string, unknown>) => {
    flags = { ...command.opts(), ...own, join: server };
  });

function fail(message: string): never {
  process.stderr.write(`balsad: ${message}\n`);
  process.exit(1);
}

async function run(): Promise<void> {
  command.parse();
  const config = loadConfig(flags, process.env);
  const release = claimRunDir(config.runDir);
  const logger = createLogger('balsad', config.logLevel);
  const manager = connectServiceManager(process.env, logger);
  if (flags['clean'] === true) {
    await clean(config, logger);
    release();
    return;
  }
  const node = await startNode(config, logger);
  manager.ready(`node ${config.nodeName} is Ready`);
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) {
      logger.warn({ signal }, 'already stopping');
      return;
    }
    stopping = true;
    manager.stopping();
    logger.info({ signal }, 'stopping; pods go on running');
    setTimeout(() => {
      logger.error({ seconds: stopTimeoutMs / 1000 }, 'could not stop in order');
      process.exit(1);
    }, stopTimeoutMs).unref();
    node.stop().then(
      () => {
        release();
        process.exit(0);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'stop failed');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal));
  // A bug in one reconcile must not pass unseen, but must not take the node's pods and store down either.
  process.on('unhandledRejection', (error) => logger.error({ err: error }, 'unhandled rejection'));
}

run().catch((error: unknown) => {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  if (error instanceof ConfigError) fail(`${error.message}\nhint: balsad --help lists every option`);
  fail(error instanceof Error ? error.message : String(error));
});
