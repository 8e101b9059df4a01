import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Logger } from '../log/logger.ts';
import type { Resolver } from './resolver.ts';

export interface DnsServerOptions {
  readonly host: string;
  readonly port: number;
  readonly resolver: Pick<Resolver, 'answer'>;
  readonly logger: Logger;
}

/** Milliseconds after which a silent TCP connection is closed. */
const idleTimeout = 10_000;
const maximumConnections = 1000;
/** Queries of one connection answered at a time; more wait in the kernel. */
const maximumPipelined = 100;

/** Listens for DNS over UDP and TCP on one address. Rejects when the address or port is not to be had. */
export async function listenDns(options: DnsServerOptions): Promise<{ port: number; close(): Promise<void> }> {
  const tcp = await listenTcp(options);
  const address = tcp.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  let udp: UdpSocket;
  try {
    udp = await listenUdp({ ...options, port });
  } catch (error) {
    tcp.close();
    throw error;
  }
  return {
    port,
    async close() {
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
        closeConnections(tcp),
      ]);
    },
  };
}

const connections = new WeakMap<Server, Set<Socket>>();

async function closeConnections(server: Server): Promise<void> {
  for (const socket of connections.get(server) ?? []) socket.destroy();
}

function listenUdp({ host, port, resolver, logger }: DnsServerOptions): Promise<UdpSocket> {
  const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  const family = isIPv6(host) ? 2 : 1;
  let open = true;
  socket.on('close', () => {
    open = false;
  });
  socket.on('message', (message, from) => {
    void resolver.answer(message, 'udp', family).then((answer) => {
      if (answer === undefined || !open) return;
      socket.send(answer, from.port, from.address, (error) => {
        if (error !== null) logger.debug({ err: error, client: from.address }, 'DNS answer not sent');
      });
    });
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: host, port }, () => {
      socket.off('error', reject);
      socket.on('error', (error) => logger.error({ err: error }, 'DNS socket failed'));
      resolve(socket);
    });
  });
}

function listenTcp({ host, port, resolver, logger }: DnsServerOptions): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, resolver, logger);
  });
  connections.set(server, sockets);
  server.maxConnections = maximumConnections;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      server.on('error', (error) => logger.error({ err: error }, 'DNS listener failed'));
      resolve(server);
    });
  });
}

function serve(socket: Socket, resolver: Pick<Resolver, 'answer'>, logger: Logger): void {
  const family = socket.remoteFamily === 'IPv6' ? 2 : 1;
  let received: Buffer = Buffer.alloc(0);
  let underWay = 0;
  socket.setNoDelay(true);
  socket.setTimeout(idleTimeout, () => socket.destroy());
  socket.on('error', (error) => logger.debug({ err: error }, 'DNS connection failed'));
  const take = () => {
    while (received.length >= 2 && underWay < maximumPipelined) {
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) break;
      const message = received.subarray(2, end);
      received = received.subarray(end);
      underWay++;
      void resolver.answer(message, 'tcp', family).then((answer) => {
        underWay--;
        if (socket.destroyed) return;
        // What is no query gets no answer, and nothing more is to be expected from who sent it.
        if (answer === undefined) {
          socket.destroy();
          return;
        }
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
        if (underWay < maximumPipelined) {
          socket.resume();
          take();
        }
      });
    }
    if (underWay >= maximumPipelined) socket.pause();
  };
  socket.on('data', (data: Buffer) => {
    received = received.length === 0 ? data : Buffer.concat([received, data]);
    take();
  });
}
