import t from 'tap';
import { createLogger } from '../log/logger.ts';
import { connectServiceManager, type Send } from './service-manager.ts';

const logger = createLogger('test', 'silent');

function recorder(): { sent: string[]; send: Send; turn(count: number): Promise<void> } {
  const sent: string[] = [];
  let waiting: { count: number; resolve: () => void } | undefined;
  return {
    sent,
    async send(socket, lines) {
      sent.push(`${socket} ${lines.join(' ')}`);
      if (waiting !== undefined && sent.length >= waiting.count) waiting.resolve();
    },
    turn(count) {
      return new Promise((resolve) => {
        waiting = { count, resolve };
        if (sent.length >= count) resolve();
      });
    },
  };
}

t.test('says ready, then stopping, in that order', async (t) => {
  const { sent, send, turn } = recorder();
  const manager = connectServiceManager({ NOTIFY_SOCKET: '/run/notify' }, logger, send);
  manager.ready('node a is Ready');
  manager.stopping();
  await turn(2);
  t.same(sent, [
    '/run/notify READY=1 STATUS=node a is Ready',
    '/run/notify STOPPING=1 STATUS=stopping; pods go on running',
  ]);
});

t.test('keeps the socket from child processes', async (t) => {
  const environment = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1', PATH: '/bin' };
  connectServiceManager(environment, logger, recorder().send);
  t.same(environment, { PATH: '/bin' });
});

t.test('pings the watchdog when it is this process that is watched', async (t) => {
  const { sent, send, turn } = recorder();
  const environment = { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '2000', WATCHDOG_PID: String(process.pid) };
  connectServiceManager(environment, logger, send);
  const alive = setInterval(() => {}, 1000); // The ping's own timer does not keep the process.
  await turn(2);
  clearInterval(alive);
  t.match(sent, ['/s WATCHDOG=1', '/s WATCHDOG=1']);
});

t.test('does nothing without a service manager, and survives one that fails', async (t) => {
  const { sent, send } = recorder();
  connectServiceManager({}, logger, send).ready('x');
  t.same(sent, []);
  const attempts: string[] = [];
  const manager = connectServiceManager({ NOTIFY_SOCKET: '/s' }, logger, async (_, [line = '']) => {
    attempts.push(line);
    throw new Error('no such socket');
  });
  manager.ready('x');
  manager.stopping();
  await new Promise((resolve) => setImmediate(resolve));
  t.same(attempts, ['READY=1', 'STOPPING=1']);
});
