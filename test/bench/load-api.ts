import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type TLSSocket } from 'node:tls';

/**
 * The load generator of the API bench, in a process of its own: it takes a task from its parent, keeps so many requests
 * under way for so long, and answers with the count and the latencies. HTTP/1.1 is spoken on bare TLS sockets, so that
 * the generator costs as little as may be of the machine that both share.
 */
export interface LoadTask {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly protocol: 'http/1.1' | 'h2';
  readonly clients: number;
  readonly seconds: number;
  readonly method: string;
  /** `{n}` becomes a running number. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  /** Where the running number in the path begins again. */
  readonly wrap?: number;
  /** Watchers: count frames until this many have come, rather than make requests. */
  readonly frames?: number;
}

export interface LoadResult {
  readonly count: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
}

let next = 0;
const latencies: number[] = [];
let errors = 0;

function dial(task: LoadTask, alpn: string): TLSSocket {
  const { host, port, ca, cert, key } = task;
  const socket = connect({ host, port, ca, cert, key, ALPNProtocols: [alpn] });
  socket.setNoDelay(true);
  return socket;
}

function requestBytes(task: LoadTask): Buffer {
  const number = String(next++);
  const path = task.path.replaceAll('{n}', String(next % (task.wrap ?? Number.MAX_SAFE_INTEGER)));
  const body = task.body?.replaceAll('{n}', number) ?? '';
  const type =
    task.body === undefined
      ? ''
      : `Content-Type: ${task.contentType ?? 'application/json'}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(
    `${task.method} ${path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n${type}\r\n${body}`,
  );
}

/** One connection that sends a request as soon as the last is answered. */
function runHttp1(task: LoadTask, until: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = dial(task, 'http/1.1');
    let started = 0;
    let missing = 0;
    let head: Buffer | undefined;
    const send = (): void => {
      if (performance.now() >= until) {
        socket.destroy();
        resolve();
        return;
      }
      started = performance.now();
      socket.write(requestBytes(task));
    };
    socket.on('secureConnect', send);
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      let data = chunk;
      if (missing > 0) {
        missing -= data.length;
      } else {
        if (head !== undefined) data = Buffer.concat([head, data]);
        const end = data.indexOf('\r\n\r\n');
        if (end === -1) {
          head = data;
          return;
        }
        head = undefined;
        const text = data.toString('latin1', 0, end);
        if (!text.startsWith('HTTP/1.1 2')) errors++;
        const length = /content-length: (\d+)/i.exec(text)?.[1];
        missing = Number(length ?? 0) - (data.length - end - 4);
      }
      if (missing <= 0) {
        missing = 0;
        latencies.push(performance.now() - started);
        send();
      }
    });
  });
}

const streamsPerSession = 8;

async function runHttp2(task: LoadTask, until: number): Promise<void> {
  const sessions: ClientHttp2Session[] = [];
  const url = `https://${task.host}:${task.port}`;
  const loops: Promise<void>[] = [];
  for (let i = 0; i < task.clients; i++) {
    if (i % streamsPerSession === 0) {
      sessions.push(
        connectHttp2(url, { ca: task.ca, cert: task.cert, key: task.key, settings: { initialWindowSize: 1 << 22 } }),
      );
      const session = sessions[sessions.length - 1]!;
      session.on('connect', () => session.setLocalWindowSize(1 << 24));
    }
    loops.push(loopHttp2(sessions[sessions.length - 1]!, task, until));
  }
  await Promise.all(loops);
  for (const session of sessions) session.destroy();
}

function loopHttp2(session: ClientHttp2Session, task: LoadTask, until: number): Promise<void> {
  return new Promise((resolve) => {
    const once = (): void => {
      if (performance.now() >= until) {
        resolve();
        return;
      }
      const started = performance.now();
      const number = String(next++);
      const stream = session.request(
        {
          ':method': task.method,
          ':path': task.path.replaceAll('{n}', String(next % (task.wrap ?? Number.MAX_SAFE_INTEGER))),
          accept: 'application/json',
          ...(task.body === undefined ? {} : { 'content-type': task.contentType ?? 'application/json' }),
        },
        { endStream: task.body === undefined },
      );
      stream.on('response', (headers) => {
        if ((headers[':status'] ?? 0) >= 300) errors++;
      });
      stream.on('error', () => errors++);
      stream.on('data', () => undefined);
      stream.on('close', () => {
        latencies.push(performance.now() - started);
        once();
      });
      if (task.body !== undefined) stream.end(task.body.replaceAll('{n}', number));
    };
    once();
  });
}

/** Opens watches and counts what comes. */
function runWatchers(task: LoadTask): Promise<void> {
  return new Promise((resolve, reject) => {
    let frames = 0;
    let open = 0;
    for (let i = 0; i < task.clients; i++) {
      const socket = dial(task, 'http/1.1');
      socket.on('error', reject);
      socket.on('secureConnect', () => socket.write(requestBytes(task)));
      let headed = false;
      socket.on('data', (chunk: Buffer) => {
        if (!headed) {
          headed = true;
          if (++open === task.clients) process.send?.({ ready: true });
        }
        // Each frame ends with a newline of its own before the chunk's end.
        for (let at = chunk.indexOf('}\n'); at !== -1; at = chunk.indexOf('}\n', at + 2)) frames++;
        if (frames >= task.frames!) {
          frames = Number.NEGATIVE_INFINITY;
          resolve();
        }
      });
    }
  });
}

process.on('message', (task: LoadTask) => {
  void (async () => {
    latencies.length = 0;
    errors = 0;
    const started = performance.now();
    if (task.frames !== undefined) await runWatchers(task);
    else {
      const until = started + task.seconds * 1000;
      if (task.protocol === 'h2') await runHttp2(task, until);
      else await Promise.all(Array.from({ length: task.clients }, () => runHttp1(task, until)));
    }
    const seconds = (performance.now() - started) / 1000;
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
    const result: LoadResult = { count: latencies.length, seconds, p50: at(0.5), p99: at(0.99), errors };
    process.send?.(result);
  })();
});
