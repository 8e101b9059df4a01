import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from '../log/logger.ts';

/** What systemd is told of this process, in the protocol of sd_notify(3). Without systemd every call does nothing. */
export interface ServiceManager {
  /** Start-up is complete. */
  ready(status: string): void;
  stopping(): void;
}

/** Hands one message (lines of `NAME=value`) to the socket. */
export type Send = (socket: string, lines: readonly string[]) => Promise<void>;

const run = promisify(execFile);

/** By systemd-notify(1): Node cannot open Unix datagram sockets. The unit says `NotifyAccess=all` for this. */
const sendBySystemdNotify: Send = async (socket, lines) => {
  await run('systemd-notify', [...lines], { env: { ...process.env, NOTIFY_SOCKET: socket }, timeout: 10_000 });
};

/**
 * Connects to the service manager that the environment names, and takes that out of the environment: containerd and pods are
 * not to speak in this process's name. Pings the watchdog twice in each of its periods for as long as the event loop turns.
 */
export function connectServiceManager(
  environment: NodeJS.ProcessEnv,
  logger: Logger,
  send: Send = sendBySystemdNotify,
): ServiceManager {
  const socket = environment['NOTIFY_SOCKET'];
  const watchdogMicroseconds = Number(environment['WATCHDOG_USEC'] ?? 0);
  const watchdogPid = environment['WATCHDOG_PID'];
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  if (socket === undefined || socket === '') return { ready() {}, stopping() {} };

  // One after the other: STOPPING must not overtake READY.
  let last: Promise<void> = Promise.resolve();
  const notify = (...lines: string[]): void => {
    last = last
      .then(() => send(socket, lines))
      .catch((error: unknown) => logger.warn({ err: error, lines }, 'the service manager could not be told'));
  };
  if (watchdogMicroseconds > 0 && (watchdogPid === undefined || Number(watchdogPid) === process.pid))
    setInterval(() => notify('WATCHDOG=1'), watchdogMicroseconds / 2000).unref();
  return {
    ready: (status) => notify('READY=1', `STATUS=${status}`),
    stopping: () => notify('STOPPING=1', 'STATUS=stopping; pods go on running'),
  };
}
