import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import t from 'tap';
import { decodeProtobuf, openEnvelope } from '../codec/protobuf.ts';
import { decodeObject, encodeObject } from '../protobuf/envelope.ts';
import { startTestingServer, type TestingServer } from '../testing-server.ts';

const protobuf = 'application/vnd.kubernetes.protobuf';

function send(
  server: TestingServer,
  method: string,
  path: string,
  accept: string,
  body?: Buffer,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { cert, key } = server.admin;
    const headers = { Accept: accept, ...(body === undefined ? {} : { 'Content-Type': protobuf }) };
    const call = request(
      new URL(path, server.api.url),
      { method, headers, ca: server.ca, cert, key, agent: false },
      resolve,
    );
    call.on('error', reject);
    call.end(body);
  });
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

t.test('built-in kinds in protobuf', async (t) => {
  const server = await startTestingServer({ logLevel: 'silent' });
  t.teardown(() => server.stop());
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', labels: { b: 'c' } },
    data: { d: 'e' },
  };
  const collection = '/api/v1/namespaces/default/configmaps';

  const created = await send(server, 'POST', collection, protobuf, encodeObject(configMap));
  t.equal(created.statusCode, 201);
  t.equal(created.headers['content-type'], protobuf);
  t.match(decodeObject(await read(created)), configMap);

  const list = await send(server, 'GET', `${collection}?labelSelector=b`, `${protobuf},application/json`);
  t.equal(list.headers['content-type'], protobuf);
  t.match(decodeObject(await read(list)), {
    kind: 'ConfigMapList',
    items: [{ metadata: { name: 'a' }, data: { d: 'e' } }],
  });

  const as = ';as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
  const partial = openEnvelope(await read(await send(server, 'GET', `${collection}/a`, protobuf + as)));
  t.same([partial.apiVersion, partial.kind], ['meta.k8s.io/v1', 'PartialObjectMetadata']);
  const reader = new BinaryReader(partial.raw);
  reader.tag();
  t.match(decodeProtobuf('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', reader.bytes()), configMap.metadata);

  const table = await send(server, 'GET', collection, `${protobuf};as=Table;g=meta.k8s.io;v=v1`);
  t.equal(table.statusCode, 406);
  await read(table);
});

t.test('a watch frame holds the event and the object in its envelope', async (t) => {
  const server = await startTestingServer({ logLevel: 'silent' });
  t.teardown(() => server.stop());
  const path = '/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3Ddefault';
  const watch = await send(server, 'GET', path, `${protobuf};stream=watch`);
  t.equal(watch.headers['content-type'], `${protobuf};stream=watch`);
  for await (const chunk of watch) {
    const bytes = chunk as Buffer;
    const length = bytes.readUInt32BE();
    const reader = new BinaryReader(bytes.subarray(4, 4 + length));
    reader.tag();
    t.equal(reader.string(), 'ADDED');
    reader.tag();
    const raw = new BinaryReader(reader.bytes());
    raw.tag();
    t.match(decodeObject(Buffer.from(raw.bytes())), {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default' },
    });
    break;
  }
});
