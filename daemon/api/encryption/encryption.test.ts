import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { MemoryStore } from '../../store/memory.ts';
import { TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';
import { parseEncryptionConfiguration } from './configuration.ts';
import { aesCbc, aesGcm, identityTransformer, Keyring } from './transformer.ts';

const secret = (byte: number) => Buffer.alloc(32, byte);
const encoded = (byte: number) => secret(byte).toString('base64');
const configuration = (...providers: string[]) => `
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
${providers.map((provider) => `      - ${provider}`).join('\n')}
`;
const gcm = (name: string, byte: number) => `aesgcm: {keys: [{name: ${name}, secret: "${encoded(byte)}"}]}`;

t.test('what is sealed opens again, with its own key and path alone', async (t) => {
  for (const make of [aesGcm, aesCbc]) {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (bytes, path) => {
        const value = Buffer.from(bytes);
        const key = Buffer.from(path);
        const ring = new Keyring([make('k', secret(1))]);
        return ring.open(ring.seal(value, key), key).equals(value);
      }),
      { numRuns: 50 },
    );
  }
  const path = Buffer.from('/registry/secrets/default/a');
  const old = new Keyring([aesGcm('old', secret(1))]);
  const rotated = new Keyring([aesGcm('new', secret(2)), aesGcm('old', secret(1)), identityTransformer]);
  const sealed = old.seal(Buffer.from('value'), path);
  t.match(sealed.toString('latin1'), /^k8s:enc:aesgcm:v1:old:/);
  t.equal(rotated.open(sealed, path).toString(), 'value', 'an old key still opens');
  t.match(rotated.seal(Buffer.from('value'), path).toString('latin1'), /^k8s:enc:aesgcm:v1:new:/);
  t.equal(rotated.open(Buffer.from('plain'), path).toString(), 'plain');
  t.throws(() => old.open(sealed, Buffer.from('/registry/secrets/default/b')), { name: 'DecryptionError' });
  t.throws(() => new Keyring([identityTransformer]).open(sealed, path), /no matching prefix found/);
});

t.test('a wrong configuration is refused', async (t) => {
  const short = 'aesgcm: {keys: [{name: k, secret: "c2hvcnQ="}]}';
  t.throws(() => parseEncryptionConfiguration(configuration(short)), {
    message:
      'resources[0].providers[0].aesgcm.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 5, expected one of [16 24 32]',
  });
  t.throws(() => parseEncryptionConfiguration('kind: Other'), /expected kind EncryptionConfiguration/);
});

t.test('secrets are sealed in the store and keys are rotated', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-encryption-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const encryptionConfig = join(directory, 'encryption.yaml');
  const store = new MemoryStore();
  const stored = async (key: string) =>
    (await store.range({ key: Buffer.from(key) })).kvs[0]?.value.toString('latin1') ?? '';
  const serve = async (text: string, act: (http: TestingHttp) => Promise<void>) => {
    writeFileSync(encryptionConfig, text);
    const server = await startTestingServer({ store, encryptionConfig });
    const http = new TestingHttp(server);
    await act(http);
    await http.close();
    await server.stop();
  };
  const secrets = '/api/v1/namespaces/default/secrets';
  const path = '/registry/secrets/default/s';
  await serve(configuration(gcm('one', 1), 'identity: {}'), async (http) => {
    await http.post(secrets, { metadata: { name: 's' }, stringData: { a: 'hidden' } });
    await http.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'm' } });
    t.match(await stored(path), /^k8s:enc:aesgcm:v1:one:/);
    t.notMatch(await stored(path), /metadata|aGlkZGVu/);
    t.match(await stored('/registry/configmaps/default/m'), /^\{"kind":"ConfigMap"/);
    t.equal((await http.get(`${secrets}/s`)).body.data.a, 'aGlkZGVu');
  });
  await serve(configuration(gcm('two', 2), gcm('one', 1)), async (http) => {
    const { body } = await http.get(`${secrets}/s`);
    t.equal(body.data.a, 'aGlkZGVu', 'read with the key that wrote it');
    await http.patch(`${secrets}/s`, 'merge-patch+json', { metadata: { labels: { a: 'b' } } });
    t.match(await stored(path), /^k8s:enc:aesgcm:v1:two:/, 'written with the newest');
  });
});
