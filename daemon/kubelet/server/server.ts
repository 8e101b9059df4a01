import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../log/logger.ts';
import type { KubeletContext } from '../context.ts';
import type { PodWorkers } from '../pods/pod-workers.ts';
import { isRuntimeError } from '../runtime.ts';
import { AccessControl } from './access.ts';
import { parseLogOptions, readContainerLog } from './container-logs.ts';
import { HttpError } from './http-error.ts';
import { kubeletMetrics, resourceMetrics } from './metrics.ts';
import { findPod, loggedContainer } from './pod-lookup.ts';
import { statsSummary, UsageRates } from './stats.ts';
import { passThrough, streamingUrl } from './streaming.ts';

const RUNNING = 1;
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface ServingOptions {
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Authority of the certificates that clients may present; PEM. */
  readonly clientCa: string;
}

export interface KubeletServer {
  readonly port: number;
  stop(): Promise<void>;
}

interface ServerOptions {
  readonly context: KubeletContext;
  readonly workers: PodWorkers;
  readonly serving: ServingOptions;
  readonly nodeName: string;
  readonly logger: Logger;
}

type Handler = (url: URL, request: IncomingMessage, response: ServerResponse) => Promise<void>;

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, { 'Content-Type': type }).end(body);
}

const sendJson = (response: ServerResponse, body: unknown): void =>
  send(response, 'application/json', JSON.stringify(body));

async function sendLogs({ context, workers }: ServerOptions, url: URL, response: ServerResponse): Promise<void> {
  const [, , namespace = '', name = '', container = ''] = url.pathname.split('/').map(decodeURIComponent);
  const pod = findPod(workers, namespace, name);
  const previous = ['true', '1'].includes(url.searchParams.get('previous') ?? '');
  let options: ReturnType<typeof parseLogOptions>;
  try {
    options = parseLogOptions(url.searchParams);
  } catch (error) {
    throw new HttpError(400, (error as Error).message);
  }
  const id = loggedContainer(context, pod, container, previous);
  const { logPath } = await context.runtime.containerStatus(id);
  const isRunning = async (): Promise<boolean> => {
    const status = await context.runtime.containerStatus(id).catch(() => undefined);
    return status?.state === RUNNING;
  };
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const pieces = readContainerLog(logPath, options, isRunning, gone.signal);
  const first = await pieces.next().catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT')
      throw new HttpError(400, `failed to try resolving symlinks in path "${logPath}": ${error.message}`);
    throw error;
  });
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Transfer-Encoding': 'chunked' });
  response.flushHeaders();
  if (first.done !== true) {
    response.write(first.value);
    for await (const piece of pieces)
      if (!response.write(piece))
        await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
  }
  response.end();
}

function routes(options: ServerOptions): Readonly<Record<string, Handler>> {
  const { context, workers, nodeName } = options;
  const rates = new UsageRates();
  const ok: Handler = async (_, __, response) => send(response, 'text/plain; charset=utf-8', 'ok');
  const podList: Handler = async (_, __, response) => {
    const items = workers.pods.map((pod) => {
      const status = context.status.current(pod.metadata?.uid ?? '');
      return status === undefined ? pod : { ...pod, status: { ...pod.status, ...status } };
    });
    sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
  };
  return {
    healthz: ok,
    pods: podList,
    runningpods: podList,
    containerLogs: (url, _, response) => sendLogs(options, url, response),
    stats: async (_, __, response) => sendJson(response, await statsSummary(context, nodeName, rates)),
    metrics: async (url, _, response) => {
      const resource = ['/metrics/resource', '/metrics/cadvisor'].includes(url.pathname);
      send(response, METRICS_TYPE, resource ? await resourceMetrics(context) : await kubeletMetrics(context, nodeName));
    },
    exec: upgradeRequired,
    attach: upgradeRequired,
    portForward: upgradeRequired,
  };
}

const upgradeRequired: Handler = async () => {
  throw new HttpError(400, 'Upgrade request required');
};

function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (isRuntimeError(error, 'NotFound')) return new HttpError(404, error.details);
  return new HttpError(500, error instanceof Error ? error.message : String(error));
}

/** Serves the kubelet's HTTPS API. Rejects when it cannot listen. */
export async function startKubeletServer(options: ServerOptions): Promise<KubeletServer> {
  const { context, workers, serving, nodeName, logger } = options;
  const access = new AccessControl(context.client, nodeName);
  const table = routes(options);
  const urlOf = (request: IncomingMessage): URL => new URL(request.url ?? '/', 'https://kubelet');

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await access.check(request);
      const url = urlOf(request);
      const handler = table[url.pathname.split('/')[1] ?? ''];
      if (handler === undefined) throw new HttpError(404, '404 page not found');
      await handler(url, request, response);
    } catch (error) {
      const { code, message } = asHttpError(error);
      if (code >= 500) logger.warn({ err: error, path: request.url }, 'request to the kubelet failed');
      if (response.headersSent) response.destroy();
      else response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' }).end(message);
    }
  };

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    socket.on('error', () => socket.destroy());
    try {
      await access.check(request);
      const url = urlOf(request);
      if (!/^\/(exec|attach|portForward)\//.test(url.pathname)) throw new HttpError(404, '404 page not found');
      await passThrough(request, socket, head, await streamingUrl(context, workers, url));
    } catch (error) {
      const { code, message } = asHttpError(error);
      if (socket.destroyed) return;
      socket.end(
        `HTTP/1.1 ${code} ${code === 404 ? 'Not Found' : 'Error'}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
          `Content-Length: ${Buffer.byteLength(message)}\r\nConnection: close\r\n\r\n${message}`,
      );
    }
  };

  const server = createServer(
    {
      cert: serving.cert,
      key: serving.key,
      ca: serving.clientCa,
      requestCert: true,
      // Those without a certificate may still show a token; `AccessControl` decides.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
    },
    (request, response) => void handle(request, response),
  );
  server.on('upgrade', (request, socket, head) => void upgrade(request, socket, head));
  server.requestTimeout = 0;
  const sockets = new Set<Duplex>();
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(serving.port, serving.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
