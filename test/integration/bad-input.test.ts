import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createAuthority, issue } from '../../daemon/cluster/pki/certificate.ts';
import { createTestNode, eventually, requireRoot } from './cluster/test-node.ts';

/** Each mistake a user or a machine makes gets the answer Kubernetes gives, and nothing is lost. */
requireRoot();
t.setTimeout(300_000);
t.jobs = 1;

const node = createTestNode(t);
await node.start();

const apply = (manifest: string, ...flags: string[]) =>
  node.tryKubectl(['apply', '-f', '-', ...flags], { input: manifest });
const raw = async (
  method: string,
  path: string,
  body: string,
  ...headers: string[]
): Promise<{ status: number; body: Record<string, unknown> }> => {
  const file = join(node.directory, 'body');
  writeFileSync(file, body);
  const pki = join(node.dataDir, 'pki');
  const certificate = headers.some((header) => header.startsWith('authorization'))
    ? []
    : ['--cert', `${pki}/admin.crt`, '--key', `${pki}/admin.key`];
  const shown = await node.namespace.exec([
    'curl',
    '-sS',
    '-X',
    method,
    '--cacert',
    `${pki}/ca.crt`,
    ...certificate,
    ...headers.flatMap((header) => ['-H', header]),
    '--data-binary',
    `@${file}`,
    '-w',
    '\n%{http_code}',
    `https://${node.namespace.address}:6443${path}`,
  ]);
  const end = shown.lastIndexOf('\n');
  return { status: Number(shown.slice(end + 1)), body: JSON.parse(shown.slice(0, end)) as Record<string, unknown> };
};

await t.test('bodies that are not what they should be', async (t) => {
  const json = 'content-type: application/json';
  const path = '/api/v1/namespaces/default/configmaps';
  t.match(await raw('POST', path, '{"kind":', json), { status: 400, body: { kind: 'Status', reason: 'BadRequest' } });
  t.match(await raw('POST', path, 'a: [b', 'content-type: application/yaml'), {
    status: 400,
    body: { reason: 'BadRequest' },
  });
  t.match(await raw('POST', path, '{}', 'content-type: text/plain'), {
    status: 415,
    body: { reason: 'UnsupportedMediaType' },
  });
  const config = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'x' } };
  t.match(await raw('POST', `${path}?fieldValidation=Strict`, JSON.stringify({ ...config, dada: {} }), json), {
    status: 400,
    body: { message: /strict decoding error: unknown field "dada"/ },
  });
  t.match(await raw('POST', path, JSON.stringify({ ...config, data: { a: 1 } }), json), {
    status: 400,
    body: { message: /json: cannot unmarshal number into Go struct field ConfigMap\.data of type string/ },
  });
  t.match(await raw('POST', path, JSON.stringify({ ...config, data: { a: 'x'.repeat(4 << 20) } }), json), {
    status: 413,
    body: { reason: 'RequestEntityTooLarge' },
  });
  t.match(await raw('POST', path, JSON.stringify({ ...config, metadata: { name: 'No_Good' } }), json), {
    status: 422,
    body: {
      reason: 'Invalid',
      message:
        /ConfigMap "No_Good" is invalid: metadata\.name: Invalid value: "No_Good": a lowercase RFC 1123 subdomain must consist of/,
    },
  });
  t.match(await raw('GET', '/api/v1/namespaces/default/pods', '', 'authorization: Bearer nonsense'), {
    status: 401,
    body: { reason: 'Unauthorized', message: 'Unauthorized' },
  });
  t.match(await raw('GET', '/api/v1/namespaces/default/pods/nobody', ''), {
    status: 404,
    body: { message: 'pods "nobody" not found', details: { name: 'nobody', kind: 'pods' } },
  });
});

await t.test('credentials that do not count', async (t) => {
  const pki = join(node.dataDir, 'pki');
  const authority = { cert: readFileSync(`${pki}/ca.crt`, 'utf8'), key: readFileSync(`${pki}/ca.key`, 'utf8') };
  const admin = { commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client' as const] };
  const yesterday = new Date(Date.now() - 48 * 3600 * 1000);
  const stranger = await createAuthority('kubernetes', new Date());
  const cases = {
    expired: await issue(authority, { ...admin, days: 1 }, yesterday),
    'of another authority': await issue(stranger, { ...admin, days: 1 }, new Date()),
  };
  for (const [what, pair] of Object.entries(cases)) {
    const [cert, key] = [join(node.directory, 'user.crt'), join(node.directory, 'user.key')];
    writeFileSync(cert, pair.cert);
    writeFileSync(key, pair.key);
    const url = `https://${node.namespace.address}:6443/api/v1/namespaces/default/pods`;
    const answer = await node.namespace.exec([
      'curl',
      '-sS',
      '--cacert',
      `${pki}/ca.crt`,
      '--cert',
      cert,
      '--key',
      key,
      url,
    ]);
    t.match(JSON.parse(answer), { code: 401, reason: 'Unauthorized' }, `a certificate ${what}`);
  }
});

await t.test('kubectl tells what is wrong with a manifest', async (t) => {
  const deployment = (spec: string): string =>
    `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: wrong }\nspec: ${spec}\n`;
  const unknownField = await apply(
    deployment(
      '{ replicaz: 1, selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: i }] } } }',
    ),
  );
  t.equal(unknownField.code, 1);
  t.match(unknownField.stderr, 'strict decoding error: unknown field "spec.replicaz"');
  const selector = await apply(
    deployment(
      '{ selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: c } }, spec: { containers: [{ name: c, image: i }] } } }',
    ),
  );
  t.match(
    selector.stderr,
    'The Deployment "wrong" is invalid: spec.template.metadata.labels: Invalid value: {"a":"c"}: `selector` does not match template `labels`',
  );
  const wrongType = await apply(
    deployment(
      '{ replicas: many, selector: { matchLabels: { a: b } }, template: { metadata: { labels: { a: b } }, spec: { containers: [{ name: c, image: i }] } } }',
    ),
  );
  t.equal(wrongType.code, 1);
});

await t.test('an image that does not exist, a container that crashes', async (t) => {
  await node.kubectl(['run', 'missing', '--image=balsa.local/nothing:v1', '--image-pull-policy=Never']);
  await node.kubectl(['run', 'crashing', '--image=balsa.local/demo:v1', '--', 'sh', '-c', 'exit 3']);
  await eventually('ErrImageNeverPull', async () =>
    /missing +0\/1 +ErrImageNeverPull/.test(await node.kubectl(['get', 'pods'])),
  );
  await eventually('CrashLoopBackOff', async () =>
    /crashing +0\/1 +CrashLoopBackOff +[1-9]/.test(await node.kubectl(['get', 'pods'])),
  );
  t.equal(
    await node.kubectl([
      'get',
      'pod',
      'crashing',
      '-o',
      'jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}',
    ]),
    '3',
  );
  t.match(
    await node.kubectl(['describe', 'pod', 'crashing']),
    /Warning +BackOff .*Back-off restarting failed container/,
  );
  await node.kubectl(['delete', 'pod', 'missing', 'crashing', '--grace-period=0', '--force']);
});

await t.test('a data directory that cannot be used is one clear line at start', async (t) => {
  t.equal(await node.stop(), 0);
  const readOnly = join(node.directory, 'read-only');
  mkdirSync(readOnly);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', readOnly]);
  t.teardown(() => execFileSync('umount', [readOnly]));
  const refused = await node.namespace
    .exec([
      process.execPath,
      'dist/balsad.js',
      `--data-dir=${readOnly}`,
      `--run-dir=${node.directory}/run2`,
      '--log-level=silent',
    ])
    .then(
      () => t.fail('started on a read-only directory'),
      (error: { stderr: string }) => error.stderr,
    );
  t.match(refused, /^balsad: .*read-only.*\n$/i);

  const damaged = readdirSync(join(node.dataDir, 'store'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /MANIFEST-/.test(name),
  );
  t.ok(damaged.length > 0);
  for (const name of damaged) {
    const file = join(node.dataDir, 'store', name);
    const size = statSync(file).size;
    chmodSync(file, 0o600);
    writeFileSync(file, Buffer.alloc(size, 0x55));
  }
  const corrupt = await node.start().then(
    () => '',
    (error: Error) => error.message,
  );
  t.match(corrupt, /balsad: .*(corrupt|damaged)/i);
});
