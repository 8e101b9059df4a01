import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import t from 'tap';
import { TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';

/** A kubelet that says what it was asked, and echoes what comes through an upgraded connection. */
const server = await startTestingServer();
const http = new TestingHttp(server);
const serving = server.servingCertificate('127.0.0.1');
const kubelet = createServer(
  { ...serving, ca: server.ca, requestCert: true, rejectUnauthorized: true },
  (request, response) => {
    if (request.url?.includes('missing')) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('no such container');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`${request.method} ${request.url}`);
  },
);
kubelet.on('upgrade', (request, socket) => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n${request.url}\n`,
  );
  socket.pipe(socket);
});
await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve));
t.teardown(async () => {
  kubelet.closeAllConnections();
  kubelet.close();
  await http.close();
  await server.stop();
});

const pods = '/api/v1/namespaces/default/pods';
t.before(async () => {
  await http.post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  await http.post('/api/v1/nodes', { metadata: { name: 'n1' } });
  await http.patch('/api/v1/nodes/n1/status', 'merge-patch+json', {
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: (kubelet.address() as AddressInfo).port } },
    },
  });
  const spec = {
    nodeName: 'n1',
    containers: [
      { name: 'one', image: 'i' },
      { name: 'two', image: 'i' },
    ],
  };
  await http.post(pods, { metadata: { name: 'p' }, spec });
  await http.post(pods, { metadata: { name: 'waiting' }, spec: { containers: [{ name: 'one', image: 'i' }] } });
});

t.test('logs come from the kubelet', async (t) => {
  const log = await http.get(`${pods}/p/log?container=two&tailLines=5&timestamps=true`);
  t.equal(log.code, 200);
  t.equal(log.text, 'GET /containerLogs/default/p/two?timestamps=true&tailLines=5');
  const unnamed = await http.get(`${pods}/p/log`);
  t.equal(unnamed.code, 400);
  t.equal(unnamed.body.message, 'a container name must be specified for pod p, choose one of: [one two]');
  t.equal((await http.get(`${pods}/p/log?container=x`)).body.message, 'container x is not valid for pod p');
  t.equal((await http.get(`${pods}/none/log`)).body.message, 'pods "none" not found');
  t.equal((await http.get(`${pods}/p/log?container=one&tailLines=-1`)).code, 422);
  t.equal((await http.get(`${pods}/waiting/log`)).code, 204);
  t.equal((await http.get('/api/v1/nodes/n1/proxy/pods?x=1')).text, 'GET /pods?x=1');
});

/** Sends one HTTP/1.1 request on a connection of its own; yields all that came once `until` is in it. */
function raw(request: string, until: string, then = ''): Promise<string> {
  const { port } = new URL(server.api.url);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: Number(port),
      ca: server.ca,
      ...server.admin,
      ALPNProtocols: ['http/1.1'],
    });
    let text = '';
    let sent = false;
    socket.on('secureConnect', () => socket.write(request));
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (then !== '' && !sent && text.includes('\r\n\r\n')) {
        sent = true;
        socket.write(then);
      }
      if (text.includes(until)) {
        socket.destroy();
        resolve(text);
      }
    });
    socket.on('close', () => resolve(text));
  });
}

const upgrade = (path: string, protocol: string, extra = '') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${extra}\r\n`;

t.test('upgraded connections pass through both ways', async (t) => {
  const text = await raw(
    upgrade(
      `${pods}/p/exec?container=one&command=ls&command=-l&stdout=true&stderr=true`,
      'SPDY/3.1',
      'X-Stream-Protocol-Version: v4.channel.k8s.io\r\n',
    ),
    'echo me',
    'echo me',
  );
  t.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.match(text, /X-Stream-Protocol-Version: v4\.channel\.k8s\.io/);
  t.match(text, '/exec/default/p/one?output=1&error=1&command=ls&command=-l');
  t.match(text, /echo me$/);
  const forward = await raw(upgrade(`${pods}/p/portforward`, 'SPDY/3.1'), '/portForward/default/p\n');
  t.match(forward, '/portForward/default/p\n');
});

t.test('WebSocket protocols that runtimes do not speak are refused, so that clients fall back', async (t) => {
  const websocket = (protocol: string) =>
    `GET ${pods}/p/exec?container=one&command=ls HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`;
  t.match(await raw(websocket('v5.channel.k8s.io'), '"code":403'), /^HTTP\/1\.1 403 /);
  t.match(await raw(websocket('v4.channel.k8s.io'), '/exec/default/p/one'), /^HTTP\/1\.1 101 /);
  t.match(
    await raw(upgrade(`${pods}/waiting/exec?command=ls`, 'SPDY/3.1'), '"code":400'),
    /does not have a host assigned/,
  );
  const plain = await http.post(`${pods}/p/exec?container=one&command=ls`, {});
  t.equal(plain.code, 400);
  t.equal(plain.body.message, 'Upgrade request required');
});
