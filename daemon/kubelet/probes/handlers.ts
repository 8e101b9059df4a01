import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { Container, HTTPGetAction } from '../../apimachinery/types/core-v1.ts';
import type { IntOrString } from '../../apimachinery/types/intstr.ts';
import { type ContainerRuntime, isRuntimeError } from '../runtime.ts';

export interface Finding {
  readonly outcome: 'success' | 'failure' | 'unknown';
  readonly output: string;
}

const MAX_OUTPUT = 10 * 1024;
const MAX_REDIRECTS = 10;
const success = (output = ''): Finding => ({ outcome: 'success', output });
const failure = (output: string): Finding => ({ outcome: 'failure', output });

/** A port by number or by its name among the container's. Throws when there is none. */
export function resolvePort(port: IntOrString, container: Container): number {
  const number =
    typeof port === 'number'
      ? port
      : (container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port));
  if (Number.isInteger(number) && number > 0 && number < 65536) return number;
  throw new Error(`couldn't find port: "${port}" in container ${JSON.stringify(container.name)}`);
}

const hostPort = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** A system error in Go's words, which users search for. */
function dialError(error: NodeJS.ErrnoException, address: string): string {
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'connect: connection timed out',
    ECONNRESET: 'read: connection reset by peer',
    ENOTFOUND: 'lookup: no such host',
  };
  const reason = reasons[error.code ?? ''];
  return reason === undefined ? error.message : `dial tcp ${address}: ${reason}`;
}

/** The URL an `httpGet` names, for probes and hooks alike. */
export function httpGetUrl(action: HTTPGetAction, container: Container, podIp: string): URL {
  const host = action.host === undefined || action.host === '' ? podIp : action.host;
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const path = action.path === undefined || action.path === '' ? '/' : action.path;
  const port = resolvePort(action.port, container);
  return new URL(`${scheme}://${hostPort(host, port)}${path.startsWith('/') ? path : `/${path}`}`);
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly location: string | undefined;
}

function get(url: URL, headers: Record<string, string>, timeoutMs: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions & { rejectUnauthorized: boolean } = {
      method: 'GET',
      headers,
      agent: false,
      rejectUnauthorized: false, // Who a container claims to be is not what a probe is about.
    };
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      const done = (): void => {
        clearTimeout(timer);
        resolve({
          status: response.statusCode ?? 0,
          body: body.slice(0, MAX_OUTPUT),
          location: response.headers.location,
        });
      };
      response.on('data', (chunk: string) => {
        body += chunk;
        if (body.length <= MAX_OUTPUT) return;
        done();
        request.destroy();
      });
      response.on('end', done);
      response.on('error', reject);
    });
    const timer = setTimeout(() => {
      request.destroy(new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)'));
    }, timeoutMs);
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const address = hostPort(
        url.hostname.replace(/^\[|\]$/g, ''),
        Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
      );
      reject(new Error(`Get "${url.href}": ${dialError(error, address)}`));
    });
    request.end();
  });
}

/** GETs what the action names, following redirects on the same host. Rejects when there is no answer in time. */
export async function httpGet(
  action: HTTPGetAction,
  container: Container,
  podIp: string,
  timeoutMs: number,
  userAgent = 'kube-probe/1.36',
): Promise<HttpAnswer> {
  let url = httpGetUrl(action, container, podIp);
  const headers: Record<string, string> = { 'User-Agent': userAgent, Accept: '*/*', Connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) {
    const usual = Object.keys(headers).find((one) => one.toLowerCase() === name.toLowerCase());
    if (usual !== undefined) delete headers[usual];
    if (value !== '') headers[name] = value;
  }
  for (let hops = 0; ; hops++) {
    const answer = await get(url, headers, timeoutMs);
    if (answer.status < 300 || answer.status >= 400 || answer.location === undefined) return answer;
    const next = new URL(answer.location, url);
    if (next.hostname !== url.hostname) return answer;
    if (hops === MAX_REDIRECTS) throw new Error(`Get "${next.href}": stopped after ${MAX_REDIRECTS} redirects`);
    url = next;
  }
}

export async function probeHttp(action: HTTPGetAction, container: Container, podIp: string, timeoutMs: number) {
  try {
    const { status, body } = await httpGet(action, container, podIp, timeoutMs);
    if (status >= 200 && status < 400) return success(body);
    return failure(`HTTP probe failed with statuscode: ${status}`);
  } catch (error) {
    return failure((error as Error).message);
  }
}

export function probeTcp(host: string, port: number, timeoutMs: number): Promise<Finding> {
  return new Promise((resolve) => {
    const address = hostPort(host, port);
    const socket = connect({ host, port });
    const finish = (finding: Finding): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(finding);
    };
    const timer = setTimeout(() => finish(failure(`dial tcp ${address}: i/o timeout`)), timeoutMs);
    socket.on('connect', () => finish(success()));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(failure(dialError(error, address))));
  });
}

export async function probeExec(
  runtime: ContainerRuntime,
  containerId: string,
  command: readonly string[],
  timeoutSeconds: number,
): Promise<Finding> {
  try {
    const { exitCode, stdout, stderr } = await runtime.execSync(containerId, command, timeoutSeconds);
    const output = Buffer.concat([stdout, stderr]).toString().slice(0, MAX_OUTPUT);
    return exitCode === 0 ? success(output) : failure(output);
  } catch (error) {
    if (isRuntimeError(error, 'DeadlineExceeded'))
      return failure(`command timed out: "${command.join(' ')}" timed out after ${timeoutSeconds}s`);
    return { outcome: 'unknown', output: (error as Error).message };
  }
}

const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const IMPLEMENTS_NOTHING = 12;

/** grpc.health.v1.Health/Check; its two messages have one field each. */
export function probeGrpc(host: string, port: number, service: string, timeoutMs: number): Promise<Finding> {
  const address = hostPort(host, port);
  const name = Buffer.from(service);
  const request = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const client = new Client(address, credentials.createInsecure());
  return new Promise((resolve) => {
    const done = (error: ServiceError | null, status: number | undefined): void => {
      client.close();
      if (error?.code === IMPLEMENTS_NOTHING)
        resolve(
          failure(
            `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${error.details}`,
          ),
        );
      else if (error !== null)
        resolve(failure(`error: health rpc failed: rpc error: code = ${error.code} desc = ${error.details}`));
      else if (status === 1) resolve(success('service healthy'));
      else resolve(failure(`service unhealthy (responded with "${servingStatus[status ?? 0] ?? status}")`));
    };
    client.waitForReady(Date.now() + timeoutMs, (error) => {
      if (error !== undefined) {
        client.close();
        resolve(
          failure(
            `timeout: failed to connect service "${address}" within ${timeoutMs / 1000}s: context deadline exceeded`,
          ),
        );
        return;
      }
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (value: Buffer) => value,
        (bytes: Buffer) => (bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0),
        request,
        { deadline: Date.now() + timeoutMs } as never,
        done,
      );
    });
  });
}
