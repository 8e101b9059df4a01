import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { createAuthority, issue } from '../../cluster/pki/certificate.ts';
import { type Answer, TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';

interface Endpoint {
  apiVersion: string;
  spec: { address?: string; host?: string; port?: number };
}

/** v1 has `address: host:port`, v2 `host` and `port`. */
function convert(object: Endpoint, apiVersion: string): Endpoint {
  const { address, host, port } = object.spec;
  if (apiVersion === object.apiVersion) return object;
  if (apiVersion.endsWith('/v1')) return { ...object, apiVersion, spec: { address: `${host}:${port}` } };
  const [name = '', number = ''] = (address ?? '').split(':');
  return { ...object, apiVersion, spec: { host: name, port: Number(number) } };
}

async function startConverter() {
  const now = new Date();
  const authority = await createAuthority('converter-ca', now);
  const pair = await issue(authority, { commonName: 'c', names: ['127.0.0.1'], usages: ['server'], days: 1 }, now);
  let failing = false;
  const server = createServer(pair, (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      const { request: asked } = JSON.parse(body) as {
        request: { uid: string; desiredAPIVersion: string; objects: Endpoint[] };
      };
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'ConversionReview',
          response: failing
            ? { uid: asked.uid, result: { status: 'Failure', message: 'not today' } }
            : {
                uid: asked.uid,
                result: { status: 'Success' },
                convertedObjects: asked.objects.map((object) => convert(object, asked.desiredAPIVersion)),
              },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    config: {
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/convert`,
      caBundle: Buffer.from(authority.cert).toString('base64'),
    },
    fail: (now: boolean) => {
      failing = now;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const path = (version: string) => `/apis/example.com/${version}/namespaces/default/endings`;

t.test('conversion by a webhook', async (t) => {
  const server = await startTestingServer();
  const http = new TestingHttp(server);
  const converter = await startConverter();
  t.teardown(async () => {
    await http.close();
    await server.stop();
    await converter.close();
  });
  const version = (name: string, storage: boolean, properties: object) => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } } },
  });
  const made = await http.post(crds, {
    metadata: { name: 'endings.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'endings', kind: 'Ending' },
      versions: [
        version('v1', true, { address: { type: 'string' } }),
        version('v2', false, { host: { type: 'string' }, port: { type: 'integer', maximum: 100 } }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: { clientConfig: converter.config, conversionReviewVersions: ['v1'] },
      },
    },
  });
  t.equal(made.code, 201, made.text);
  for await (const { object } of http.watch(`${crds}?watch=true&fieldSelector=metadata.name=endings.example.com`)) {
    const crd: Answer['body'] = object;
    if (crd.status?.conditions?.some((one: { type: string }) => one.type === 'Established')) break;
  }

  await t.test('each version shows its own form, and one is stored', async (t) => {
    await http.post(path('v1'), { metadata: { name: 'one' }, spec: { address: 'a:1' } });
    t.match((await http.get(`${path('v2')}/one`)).body, { apiVersion: 'example.com/v2', spec: { host: 'a', port: 1 } });
    const two = await http.post(path('v2'), { metadata: { name: 'two' }, spec: { host: 'b', port: 2 } });
    t.match(two.body, { apiVersion: 'example.com/v2', spec: { host: 'b', port: 2 }, metadata: { generation: 1 } });
    const stored = await server.store.range({ key: Buffer.from('/registry/example.com/endings/default/two') });
    t.match(JSON.parse(stored.kvs[0]!.value.toString()), { apiVersion: 'example.com/v1', spec: { address: 'b:2' } });
    const list = (await http.get(path('v2'))).body.items.map(({ spec }: Endpoint) => spec);
    t.same(list, [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    const patched = await http.patch(`${path('v2')}/two`, 'merge-patch+json', { spec: { port: 3 } });
    t.same(patched.body.spec, { host: 'b', port: 3 });
    t.equal((await http.patch(`${path('v2')}/two`, 'merge-patch+json', { spec: { port: 101 } })).code, 422);
    t.equal((await http.get(`${path('v1')}/two`)).body.spec.address, 'b:3');
  });

  await t.test('a watch converts what it tells', async (t) => {
    const events: string[] = [];
    const watching = http.watch(`${path('v2')}?watch=true`);
    for await (const { type, object } of watching) {
      const { metadata, spec }: Answer['body'] = object;
      events.push(`${type} ${metadata.name} ${spec.host}:${spec.port}`);
      if (events.length === 2) await http.patch(`${path('v1')}/one`, 'merge-patch+json', { spec: { address: 'c:9' } });
      if (events.length === 3) break;
    }
    t.same(events, ['ADDED one a:1', 'ADDED two b:3', 'MODIFIED one c:9']);
  });

  await t.test('a conversion that fails is an error of the server', async (t) => {
    await http.post(path('v1'), { metadata: { name: 'three' }, spec: { address: 'd:4' } });
    converter.fail(true);
    const failed = await http.get(`${path('v2')}/three`);
    t.equal(failed.code, 500);
    t.equal(
      failed.body.message,
      'Internal error occurred: conversion webhook for example.com/v1, Kind=Ending failed: not today',
    );
    t.equal((await http.get(`${path('v1')}/three`)).code, 200, 'the stored version needs none');
    converter.fail(false);
    t.equal((await http.delete(`${path('v2')}/three`)).code, 200);
  });
});
