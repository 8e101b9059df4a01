import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import t from 'tap';
import { HollowRuntime } from '../hollow-runtime.ts';
import { RuntimeError } from '../runtime.ts';
import { probeExec, probeGrpc, probeHttp, probeTcp, resolvePort } from './handlers.ts';

const container = { name: 'c', ports: [{ name: 'web', containerPort: 8080 }] };
const listen = (server: Server) =>
  new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );

t.test('ports by number and name', async (t) => {
  t.equal(resolvePort(80, container), 80);
  t.equal(resolvePort('web', container), 8080);
  t.equal(resolvePort('81', container), 81);
  t.throws(() => resolvePort('nope', container), /couldn't find port: "nope" in container "c"/);
});

t.test('http', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/hang') return;
    if (request.url === '/there') response.writeHead(302, { Location: '/ok' });
    else if (request.url === '/away') response.writeHead(302, { Location: 'http://example.invalid/' });
    else response.writeHead(request.url === '/ok' ? 200 : 503);
    response.end(`${request.headers['user-agent']} ${request.headers['x-own']}`);
  });
  const port = await listen(server);
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const probe = (path: string, timeout = 1000) =>
    probeHttp({ path, port, httpHeaders: [{ name: 'X-Own', value: 'y' }] }, container, '127.0.0.1', timeout);
  t.strictSame(await probe('/ok'), { outcome: 'success', output: 'kube-probe/1.36 y' });
  t.strictSame(await probe('/no'), { outcome: 'failure', output: 'HTTP probe failed with statuscode: 503' });
  t.match(await probe('/there'), { outcome: 'success' });
  t.match(await probe('/away'), { outcome: 'success' }, 'another host is not asked');
  t.match(await probe('/hang', 50), {
    outcome: 'failure',
    output: /^Get "http:\/\/127\.0\.0\.1:\d+\/hang": context deadline exceeded/,
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.strictSame(await probe('/ok'), {
    outcome: 'failure',
    output: `Get "http://127.0.0.1:${port}/ok": dial tcp 127.0.0.1:${port}: connect: connection refused`,
  });
});

t.test('tcp', async (t) => {
  const server = createTcpServer();
  const port = await listen(server);
  t.match(await probeTcp('127.0.0.1', port, 1000), { outcome: 'success' });
  await new Promise((resolve) => server.close(resolve));
  t.match(await probeTcp('127.0.0.1', port, 1000), {
    outcome: 'failure',
    output: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  });
});

t.test('exec', async (t) => {
  const runtime = new HollowRuntime();
  const answer = (result: Awaited<ReturnType<HollowRuntime['execSync']>> | RuntimeError) => {
    runtime.execSync = async () => {
      if (result instanceof RuntimeError) throw result;
      return result;
    };
    return probeExec(runtime, 'id', ['test', '-e', '/x'], 1);
  };
  const output = { stdout: Buffer.from('out '), stderr: Buffer.from('err') };
  t.strictSame(await answer({ exitCode: 0, ...output }), { outcome: 'success', output: 'out err' });
  t.strictSame(await answer({ exitCode: 1, ...output }), { outcome: 'failure', output: 'out err' });
  t.strictSame(await answer(new RuntimeError('DeadlineExceeded', 'x')), {
    outcome: 'failure',
    output: 'command timed out: "test -e /x" timed out after 1s',
  });
  t.match(await answer(new RuntimeError('Unavailable', 'x')), { outcome: 'unknown' }, 'the container is not to blame');
});

t.test('grpc', async (t) => {
  const server = new GrpcServer();
  let asked = '';
  const bytes = (value: Buffer) => value;
  server.addService(
    {
      check: {
        path: '/grpc.health.v1.Health/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    {
      check: (call: { request: Buffer }, callback: (error: null, value: Buffer) => void) => {
        asked = call.request.subarray(2).toString();
        callback(null, Buffer.from([0x08, asked === 'well' ? 1 : 2]));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.match(await probeGrpc('127.0.0.1', port, 'well', 2000), { outcome: 'success' });
  t.equal(asked, 'well');
  t.strictSame(await probeGrpc('127.0.0.1', port, '', 2000), {
    outcome: 'failure',
    output: 'service unhealthy (responded with "NOT_SERVING")',
  });
  server.forceShutdown();
  t.match(await probeGrpc('127.0.0.1', port, '', 100), {
    outcome: 'failure',
    output: /^timeout: failed to connect service/,
  });
});
