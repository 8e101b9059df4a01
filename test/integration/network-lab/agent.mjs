// A process in one network namespace of a lab: serves, and makes requests, as the test that spawned it asks over IPC.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

const name = process.argv[2];

/** Every service answers with who it is and whom it sees. */
const greeting = (address, port) => JSON.stringify({ name, client: address?.replace('::ffff:', ''), clientPort: port });

function listen({ protocol, port, host }) {
  return new Promise((resolve, reject) => {
    if (protocol === 'UDP') {
      const socket = createSocket(host?.includes(':') ? 'udp6' : 'udp4');
      socket.on('error', reject);
      socket.on('message', (_message, from) => socket.send(greeting(from.address, from.port), from.port, from.address));
      socket.bind(port, host, () => resolve({}));
      return;
    }
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(greeting(socket.remoteAddress, socket.remotePort));
    });
    server.on('error', reject);
    server.listen(port, host, () => resolve({}));
  });
}

/** Emulated machines are slow: there, what should be answered gets more time. */
const patience = 1500 * Number(process.env.BALSA_LAB_SLOWNESS ?? 1);

function request({ protocol, host, port, localPort, localAddress, timeout = patience }) {
  return new Promise((resolve) => {
    if (protocol === 'UDP') {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      const done = (result) => {
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on('error', () => {});
        socket.close();
        resolve(result);
      };
      const timer = setTimeout(() => done({ error: 'timeout' }), timeout);
      socket.on('error', (error) => done({ error: error.code }));
      socket.bind(localPort, localAddress, () => {
        socket.connect(port, host, () => {
          socket.on('message', (message) => done(JSON.parse(message.toString())));
          socket.send('hello');
        });
      });
      return;
    }
    let text = '';
    const socket = connect({ host, port, localPort, localAddress });
    const done = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeout, () => done({ error: 'timeout' }));
    socket.on('error', (error) => done({ error: error.code }));
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('end', () => done(text === '' ? { error: 'empty' } : JSON.parse(text)));
  });
}

/** Connects again and again for so many seconds; yields connections a second and the time of one in milliseconds. */
async function rate({ host, port, seconds, concurrency = 8 }) {
  const times = [];
  let failed = 0;
  const until = performance.now() + seconds * 1000;
  const work = async () => {
    while (performance.now() < until) {
      const start = performance.now();
      const { error } = await request({ protocol: 'TCP', host, port });
      if (error === undefined) times.push(performance.now() - start);
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor((times.length - 1) * share)];
  return { perSecond: times.length / seconds, failed, median: at(0.5), high: at(0.99) };
}

const commands = { listen, request, rate };

process.on('message', async ({ id, command, argument }) => {
  try {
    process.send({ id, result: await commands[command](argument) });
  } catch (error) {
    process.send({ id, result: { error: error.code ?? String(error) } });
  }
});
process.on('disconnect', () => process.exit(0));
process.send({ id: 0, result: {} });
