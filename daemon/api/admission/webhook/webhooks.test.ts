import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { createAuthority, issue } from '../../../cluster/pki/certificate.ts';
import { TestingHttp } from '../../testing-http.ts';
import { startTestingServer } from '../../testing-server.ts';

interface Review {
  readonly apiVersion: string;
  readonly request: {
    readonly uid: string;
    readonly operation: string;
    readonly object: {
      metadata: { name: string; labels?: Record<string, string> };
      data?: Record<string, string>;
    } | null;
    readonly userInfo: { username: string };
    readonly resource: { resource: string };
    readonly dryRun: boolean;
  };
}

type Answer = (review: Review) => object;

/** A webhook over HTTPS on loopback; what it answers is given by path. */
async function startWebhook(answers: Record<string, Answer>) {
  const now = new Date();
  const authority = await createAuthority('webhook-ca', now);
  const pair = await issue(
    authority,
    { commonName: 'webhook', names: ['127.0.0.1', 'hook.default.svc'], usages: ['server'], days: 1 },
    now,
  );
  const seen: { path: string; review: Review }[] = [];
  const server = createServer(pair, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url!.split('?')[0]!;
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      seen.push({ path, review });
      const answer = answers[path]!(review);
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          apiVersion: review.apiVersion,
          kind: 'AdmissionReview',
          response: { uid: review.request.uid, ...answer },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    port,
    config: (path: string) => ({
      url: `https://127.0.0.1:${port}${path}`,
      caBundle: Buffer.from(authority.cert).toString('base64'),
    }),
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

const patchOf = (...operations: object[]) => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

const rules = (operations: string[]) => [
  { operations, apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], scope: 'Namespaced' },
];
const common = { admissionReviewVersions: ['v1'], sideEffects: 'None' };
const collection = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, extra: object = {}) => ({ metadata: { name, ...extra }, data: {} });

t.test('admission webhooks', async (t) => {
  const server = await startTestingServer();
  const http = new TestingHttp(server);
  const webhook = await startWebhook({
    '/label': ({ request }) =>
      patchOf(
        ...(request.object?.metadata.labels === undefined ? [{ op: 'add', path: '/metadata/labels', value: {} }] : []),
        { op: 'add', path: '/metadata/labels/seen', value: 'yes' },
      ),
    '/judge': ({ request }) =>
      request.object?.metadata.name === 'bad'
        ? { allowed: false, status: { message: 'no bad ones', code: 403, reason: 'Forbidden' } }
        : { allowed: true, warnings: ['looked at it'] },
    '/nonsense': () => ({ uid: 'other', allowed: true }),
  });
  t.teardown(async () => {
    await http.close();
    await webhook.close();
    await server.stop();
  });
  const base = '/apis/admissionregistration.k8s.io/v1';
  const make = (kind: 'Mutating' | 'Validating', name: string, webhooks: object[]) =>
    http.post(`${base}/${kind.toLowerCase()}webhookconfigurations`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name },
      webhooks,
    });

  await t.test('a mutating webhook patches, a validating one judges and warns', async (t) => {
    t.equal(
      (
        await make('Mutating', 'label', [
          { ...common, name: 'label.example.com', clientConfig: webhook.config('/label'), rules: rules(['CREATE']) },
        ])
      ).code,
      201,
    );
    await make('Validating', 'judge', [
      {
        ...common,
        name: 'judge.example.com',
        clientConfig: webhook.config('/judge'),
        rules: rules(['CREATE', 'UPDATE', 'DELETE']),
        matchConditions: [{ name: 'not-skipped', expression: '!object.metadata.name.startsWith("skip")' }],
      },
    ]);
    const made = await http.post(collection, configMap('good'));
    t.equal(made.code, 201);
    t.equal(made.body.metadata.labels.seen, 'yes');
    t.match(String(made.headers['warning']), /299 - "looked at it"/);
    const sent = webhook.seen.find(({ path }) => path === '/judge')!.review.request;
    t.match(sent, { operation: 'CREATE', resource: { resource: 'configmaps' }, dryRun: false });
    t.equal(sent.object?.metadata.labels?.['seen'], 'yes', 'the final object is judged');

    const refused = await http.post(collection, configMap('bad'));
    t.equal(refused.code, 403);
    t.equal(refused.body.message, 'admission webhook "judge.example.com" denied the request: no bad ones');

    const before = webhook.seen.length;
    t.equal((await http.post(collection, configMap('skipped'))).code, 201);
    t.same(
      webhook.seen.slice(before).map(({ path }) => path),
      ['/label'],
      'match conditions keep requests away',
    );
    t.equal((await http.send('POST', `${collection}?dryRun=All`, configMap('dry'))).code, 201);
    t.equal(webhook.seen[webhook.seen.length - 1]!.review.request.dryRun, true);
    await http.delete(`${base}/mutatingwebhookconfigurations/label`);
    await http.delete(`${base}/validatingwebhookconfigurations/judge`);
  });

  await t.test('a webhook is reached by its Service, under the name of that', async (t) => {
    await http.post('/api/v1/namespaces/default/services', {
      metadata: { name: 'hook' },
      spec: { type: 'ExternalName', externalName: '127.0.0.1' },
    });
    const { caBundle } = webhook.config('');
    const service = { namespace: 'default', name: 'hook', path: '/judge', port: webhook.port };
    await make('Validating', 'by-service', [
      { ...common, name: 'judge.example.com', clientConfig: { service, caBundle }, rules: rules(['CREATE', 'DELETE']) },
    ]);
    t.equal((await http.post(collection, configMap('bad'))).code, 403);
    t.equal((await http.post(collection, configMap('fine'))).code, 201);
    t.equal((await http.delete(`${collection}/fine`)).code, 200);
    const { request } = webhook.seen[webhook.seen.length - 1]!.review;
    t.match(request, { operation: 'DELETE', object: null, name: 'fine' });
    await http.delete(`${base}/validatingwebhookconfigurations/by-service`);
  });

  await t.test('selectors choose objects and namespaces', async (t) => {
    await make('Validating', 'selective', [
      {
        ...common,
        name: 'judge.example.com',
        clientConfig: webhook.config('/judge'),
        rules: rules(['CREATE']),
        objectSelector: { matchLabels: { judged: 'true' } },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
      },
    ]);
    const before = webhook.seen.length;
    await http.post(collection, configMap('unlabelled'));
    await http.post(
      '/api/v1/namespaces/kube-system/configmaps',
      configMap('elsewhere', { labels: { judged: 'true' } }),
    );
    t.equal(webhook.seen.length, before);
    await http.post(collection, configMap('labelled', { labels: { judged: 'true' } }));
    t.equal(webhook.seen.length, before + 1);
    await http.delete(`${base}/validatingwebhookconfigurations/selective`);
  });

  await t.test('the failure policy says what a failed call means', async (t) => {
    const broken = (failurePolicy: string, clientConfig: object) => [
      { ...common, name: 'broken.example.com', clientConfig, rules: rules(['CREATE']), failurePolicy },
    ];
    await make('Validating', 'broken', broken('Fail', { url: 'https://127.0.0.1:1/x' }));
    const failed = await http.post(collection, configMap('c1'));
    t.equal(failed.code, 500);
    t.equal(
      failed.body.message,
      'Internal error occurred: failed calling webhook "broken.example.com": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
    );
    await http.delete(`${base}/validatingwebhookconfigurations/broken`);

    await make('Validating', 'broken', broken('Ignore', { url: 'https://127.0.0.1:1/x' }));
    t.equal((await http.post(collection, configMap('c2'))).code, 201);
    await http.delete(`${base}/validatingwebhookconfigurations/broken`);

    await make('Validating', 'broken', broken('Fail', { service: { namespace: 'default', name: 'none' } }));
    const noService = await http.post(collection, configMap('c3'));
    t.match(noService.body.message, /Post "https:\/\/none\.default\.svc:443\/": service "none" not found$/);
    await http.delete(`${base}/validatingwebhookconfigurations/broken`);

    await make('Validating', 'broken', broken('Fail', { ...webhook.config('/judge'), caBundle: undefined }));
    const untrusted = await http.post(collection, configMap('c4'));
    t.match(untrusted.body.message, /x509: certificate signed by unknown authority$/);
    await http.delete(`${base}/validatingwebhookconfigurations/broken`);

    await make('Validating', 'broken', broken('Fail', webhook.config('/nonsense')));
    const nonsense = await http.post(collection, configMap('c5'));
    t.match(nonsense.body.message, /received invalid webhook response: expected response\.uid=/);
    await http.delete(`${base}/validatingwebhookconfigurations/broken`);
  });
});
