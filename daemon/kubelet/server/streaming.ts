import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { KubeletContext } from '../context.ts';
import type { PodWorkers } from '../pods/pod-workers.ts';
import { HttpError } from './http-error.ts';
import { findPod, runningContainer, sandboxOf } from './pod-lookup.ts';

const CONNECT_TIMEOUT_MS = 10_000;

interface StreamOptions {
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

const yes = (query: URLSearchParams, ...names: string[]): boolean =>
  names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));

/** The kubelet's own names and those of the Kubernetes API. */
function streamOptions(query: URLSearchParams): StreamOptions {
  const tty = yes(query, 'tty');
  const options = {
    tty,
    stdin: yes(query, 'input', 'stdin'),
    stdout: yes(query, 'output', 'stdout'),
    // A terminal has one output.
    stderr: !tty && yes(query, 'error', 'stderr'),
  };
  if (!options.stdin && !options.stdout && !options.stderr)
    throw new HttpError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  return options;
}

/** Asks the runtime where to connect a client of `/exec`, `/attach` or `/portForward`. Rejects with an HttpError. */
export async function streamingUrl(context: KubeletContext, workers: PodWorkers, url: URL): Promise<URL> {
  const [, verb = '', namespace = '', name = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
  const { runtime } = context;
  if (verb === 'portForward') {
    const pod = findPod(workers, namespace, name, rest[0]);
    const ports = url.searchParams
      .getAll('port')
      .flatMap((list) => list.split(','))
      .map(Number);
    return new URL(await runtime.portForward(await sandboxOf(context, pod), ports));
  }
  const [uid, container] = rest.length > 1 ? rest : [undefined, rest[0]];
  if (container === undefined) throw new HttpError(404, 'page not found');
  const pod = findPod(workers, namespace, name, uid);
  const options = streamOptions(url.searchParams);
  const { status } = await runningContainer(context, pod, container);
  const containerId = status.id;
  return new URL(
    verb === 'exec'
      ? await runtime.exec({ containerId, command: url.searchParams.getAll('command'), ...options })
      : await runtime.attach({ containerId, ...options }),
  );
}

/**
 * Hands a client's connection over to the runtime's streaming server: its request goes there as it came, but for the path,
 * and from then on each byte of either side is passed on. The protocol (SPDY or WebSocket) is theirs alone.
 */
export function passThrough(request: IncomingMessage, client: Duplex, head: Buffer, target: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    const upstream = connect({ host: target.hostname.replace(/^\[|\]$/g, ''), port: Number(target.port) });
    const timer = setTimeout(
      () => upstream.destroy(new Error("the runtime's streaming server does not answer")),
      CONNECT_TIMEOUT_MS,
    );
    upstream.setNoDelay(true);
    upstream.on('connect', () => {
      clearTimeout(timer);
      const lines = [`${request.method} ${target.pathname}${target.search} HTTP/1.1`, `Host: ${target.host}`];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        const name = request.rawHeaders[at] ?? '';
        if (!/^(host|authorization)$/i.test(name)) lines.push(`${name}: ${request.rawHeaders[at + 1]}`);
      }
      upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
      if (head.length > 0) upstream.write(head);
      client.pipe(upstream);
      upstream.pipe(client);
    });
    upstream.on('error', (error) => {
      clearTimeout(timer);
      client.destroy();
      reject(error);
    });
    client.on('error', () => upstream.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      client.destroy();
      resolve();
    });
  });
}
