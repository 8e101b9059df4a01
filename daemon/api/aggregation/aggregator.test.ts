import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { createAuthority, issue } from '../../cluster/pki/certificate.ts';
import { type Answer, TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';

const services = '/apis/apiregistration.k8s.io/v1/apiservices';

interface Seen {
  readonly path: string;
  readonly client: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

/** An extension server that says what it was asked, and by whom. */
async function startExtension(clientCa: string) {
  const now = new Date();
  const authority = await createAuthority('extension-ca', now);
  const names = ['extension.default.svc', 'localhost'];
  const pair = await issue(authority, { commonName: 'extension', names, usages: ['server'], days: 1 }, now);
  const seen: Seen[] = [];
  const server = createServer(
    { ...pair, ca: clientCa, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const path = request.url ?? '';
      const client = (request.socket as TLSSocket).getPeerCertificate().subject?.CN as string | undefined;
      seen.push({ path, client, headers: request.headers });
      response.setHeader('content-type', 'application/json');
      if (path === '/apis/ext.example.com/v1') {
        const things = {
          name: 'things',
          singularName: 'thing',
          namespaced: true,
          kind: 'Thing',
          verbs: ['get', 'list'],
        };
        response.end(
          JSON.stringify({ kind: 'APIResourceList', groupVersion: 'ext.example.com/v1', resources: [things] }),
        );
      } else if (request.method === 'POST') {
        let body = '';
        request.on('data', (chunk) => {
          body += String(chunk);
        });
        request.on('end', () => response.writeHead(201).end(body));
      } else {
        response.end(JSON.stringify({ kind: 'ThingList', apiVersion: 'ext.example.com/v1', metadata: {}, items: [] }));
      }
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    port: (server.address() as AddressInfo).port,
    caBundle: Buffer.from(authority.cert).toString('base64'),
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

t.test('aggregated APIs', async (t) => {
  const server = await startTestingServer();
  const http = new TestingHttp(server);
  const extension = await startExtension(server.ca);
  t.teardown(async () => {
    await http.close();
    await server.stop();
    await extension.close();
  });
  const condition = async (name: string, wanted: (one: Answer['body']) => boolean): Promise<Answer['body']> => {
    for await (const event of http.watch(`${services}?watch=true&fieldSelector=metadata.name=${name}`)) {
      const object: Answer['body'] = event.object;
      const found = object.status?.conditions?.find((one: { type: string }) => one.type === 'Available');
      if (found !== undefined && wanted(found)) return found;
    }
    throw new Error('the watch ended');
  };

  await t.test('without its Service an API is unavailable', async (t) => {
    const made = await http.post(services, {
      metadata: { name: 'v1.ext.example.com' },
      spec: {
        group: 'ext.example.com',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        caBundle: extension.caBundle,
        service: { namespace: 'default', name: 'extension', port: extension.port },
      },
    });
    t.equal(made.code, 201);
    const found = await condition('v1.ext.example.com', ({ status }) => status === 'False');
    t.match(found, { reason: 'ServiceNotFound', message: 'service/extension in "default" is not present' });
    const answer = await http.get('/apis/ext.example.com/v1/namespaces/default/things');
    t.equal(answer.code, 503);
    t.equal(answer.text, 'service unavailable\n');
  });

  await t.test('with it, requests are passed on in the name of who asks', async (t) => {
    await http.post('/api/v1/namespaces/default/services', {
      metadata: { name: 'extension' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    });
    t.match(await condition('v1.ext.example.com', ({ status }) => status === 'True'), {
      reason: 'Passed',
      message: 'all checks passed',
    });
    const path = '/apis/ext.example.com/v1/namespaces/default/things?limit=5';
    const answer = await http.get(path, { 'x-remote-user': 'forged', authorization: '' });
    t.equal(answer.code, 200);
    t.equal(answer.body.kind, 'ThingList');
    const seen = extension.seen.find((one) => one.path === path)!;
    t.equal(seen.client, 'front-proxy-client');
    t.equal(seen.headers['x-remote-user'], 'admin');
    t.match(seen.headers['x-remote-group'], 'system:masters');
    t.equal(seen.headers.authorization, undefined);
    t.same((await http.post(path, { a: 1 })).body, { a: 1 });

    const groups = (await http.get('/apis')).body.groups.map(({ name }: { name: string }) => name);
    t.ok(groups.includes('ext.example.com'));
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { items } = (await http.get('/apis', { accept })).body;
    const found = items.find(({ metadata }: Answer['body']) => metadata.name === 'ext.example.com');
    t.match(found.versions[0], {
      freshness: 'Current',
      resources: [{ resource: 'things', singularResource: 'thing' }],
    });
  });

  await t.test('a caller without permission never reaches the extension server', async (t) => {
    const nobody = new TestingHttp(server, server.clientCertificate('nobody', []));
    const asked = () => extension.seen.filter(({ path }) => path.includes('/things')).length;
    const before = asked();
    t.equal((await nobody.get('/apis/ext.example.com/v1/namespaces/default/things')).code, 403);
    t.equal(asked(), before);
    await nobody.close();
  });

  await t.test('an extension server that is gone is unavailable, and forgotten with its APIService', async (t) => {
    await extension.close();
    await http.patch('/api/v1/namespaces/default/services/extension', 'merge-patch+json', {
      metadata: { labels: { touched: 'yes' } },
    });
    const found = await condition('v1.ext.example.com', ({ status }) => status === 'False');
    t.equal(found.reason, 'FailedDiscoveryCheck');
    t.match(found.message, /^failing or missing response from https:\/\/localhost:\d+\/apis\/ext\.example\.com\/v1: /);
    await http.delete(`${services}/v1.ext.example.com`);
    t.equal((await http.get('/apis/other.example.com/v1')).code, 404);
  });
});
