import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createAuthority, issue } from '../../daemon/cluster/pki/certificate.ts';
import { createTestNode, eventually, requireRoot } from './cluster/test-node.ts';

/** Ingresses and LoadBalancer Services of one node, asked with curl from its network namespace. */
requireRoot();
t.setTimeout(300_000);
t.jobs = 1;

const pool = '10.77.255.10-10.77.255.11';
const node = createTestNode(t, `--load-balancer-pool=${pool}`);
const { namespace } = node;

const app = (name: string, replicas: number): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: balsa.local/demo:v1
          # Says its name whatever the path.
          command:
            - sh
            - -c
            - >-
              mkdir -p /srv/www && hostname > /srv/www/index.html && echo E404:/srv/www/index.html > /srv/httpd.conf &&
              exec httpd -f -p 8080 -h /srv/www -c /srv/httpd.conf
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 80, targetPort: http }]
---`;

const ingress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  tls: [{ hosts: [shop.example], secretName: shop }]
  rules:
    - host: shop.example
      http:
        paths:
          - { path: /, pathType: Prefix, backend: { service: { name: one, port: { number: 80 } } } }
          - { path: /two, pathType: Prefix, backend: { service: { name: two, port: { name: http } } } }
          - { path: /two/exact, pathType: Exact, backend: { service: { name: one, port: { number: 80 } } } }
    - host: '*.shop.example'
      http:
        paths: [{ path: /, pathType: Prefix, backend: { service: { name: two, port: { number: 80 } } } }]
    - host: broken.example
      http:
        paths: [{ path: /, pathType: Prefix, backend: { service: { name: nobody, port: { number: 80 } } } }]
`;

const curl = (...args: string[]): Promise<string> =>
  namespace.exec(['curl', '-sS', '--max-time', '5', '-w', '\n%{http_code}', ...args]);
const get = (host: string, path: string): Promise<string> =>
  curl('-H', `Host: ${host}`, `http://${namespace.address}${path}`);
const haproxyPid = (): string => readFileSync(join(node.runDir, 'ingress/haproxy.pid'), 'utf8').trim();

await t.test('nothing runs until there is an Ingress', async (t) => {
  await node.start();
  await eventually('the class', async () =>
    /balsa +balsa\.io\/haproxy/.test(await node.kubectl(['get', 'ingressclass'])),
  );
  t.notOk(readdirSync(node.runDir).includes('ingress'));
  await node.kubectl(['apply', '-f', '-'], { input: app('one', 1) + app('two', 1) });
  for (const name of ['one', 'two']) await node.kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=90s']);
});

await t.test('hosts and paths lead where the rules say', async (t) => {
  await node.kubectl(['apply', '-f', '-'], { input: ingress });
  await eventually('the first answer', async () => /one-[\s\S]*200$/.test(await get('shop.example', '/')));
  t.match(await get('shop.example', '/other/path?q=1'), /one-/);
  t.match(await get('SHOP.example:80', '/two'), /two-/);
  t.match(await get('shop.example', '/two/below'), /two-/);
  t.match(await get('shop.example', '/twofold'), /one-/, 'a prefix matches whole elements');
  t.match(await get('shop.example', '/two/exact'), /one-/);
  t.match(await get('deep.shop.example', '/'), /two-[\s\S]*200$/);
  t.match(await get('too.deep.shop.example', '/'), /404$/, 'a wildcard is one label');
  t.match(await get('unknown.example', '/'), /404$/);
  t.match(await get('broken.example', '/'), /503$/);
});

await t.test('the default class was filled in, the status has the address, and events say what is wrong', async (t) => {
  await eventually('the address', async () =>
    (await node.kubectl(['get', 'ingress', 'shop'])).includes(`${namespace.address} `),
  );
  t.match(await node.kubectl(['get', 'ingress', 'shop']), /shop +balsa +/);
  const described = await node.kubectl(['describe', 'ingress', 'shop']);
  t.match(described, /Warning +ServiceNotFound .*service default\/nobody does not exist/);
  t.match(described, /Warning +InvalidTLSSecret .*default\/shop/);
});

await t.test('TLS with the certificate of the secret', async (t) => {
  const now = new Date();
  const authority = await createAuthority('test', now);
  const pair = await issue(
    authority,
    { commonName: 'shop.example', names: ['shop.example'], usages: ['server'], days: 1 },
    now,
  );
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  await node.kubectl(['apply', '-f', '-'], {
    input: `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: { name: shop }
data: { tls.crt: ${base64(pair.cert)}, tls.key: ${base64(pair.key)} }
`,
  });
  await namespace.exec(['tee', join(node.directory, 'ca.crt')], { input: authority.cert });
  const secure = (...args: string[]): Promise<string> =>
    curl('--cacert', join(node.directory, 'ca.crt'), '--resolve', `shop.example:443:${namespace.address}`, ...args);
  await eventually('an answer over TLS', async () => /one-[\s\S]*200$/.test(await secure('https://shop.example/')));
  t.match(await secure('--http2', '-w', ' HTTP/%{http_version}', 'https://shop.example/'), /HTTP\/2$/);
  const [directory = ''] = readdirSync(join(node.dataDir, 'ingress'));
  for (const file of readdirSync(join(node.dataDir, 'ingress', directory)))
    t.equal(statSync(join(node.dataDir, 'ingress', directory, file)).mode & 0o777, 0o600, file);
});

await t.test('endpoints change without another process', async (t) => {
  const before = haproxyPid();
  await node.kubectl(['scale', 'deployment/one', '--replicas=3']);
  await node.kubectl(['rollout', 'status', 'deployment/one', '--timeout=90s']);
  const answers = new Set<string>();
  await eventually('three pods answer', async () => {
    answers.add((await get('shop.example', '/')).match(/one-[\w-]+/)?.[0] ?? 'none');
    return answers.size === 3;
  });
  await node.kubectl(['scale', 'deployment/one', '--replicas=1']);
  await eventually('one is left', async () => {
    const left = new Set<string>();
    for (let i = 0; i < 6; i++) left.add((await get('shop.example', '/')).match(/one-[\w-]+/)?.[0] ?? 'none');
    return left.size === 1 && !left.has('none');
  });
  t.equal(haproxyPid(), before);
});

await t.test('no request is lost when the rules change', async (t) => {
  const before = haproxyPid();
  let going = true;
  const codes = new Map<string, number>();
  const load = (async () => {
    while (going) {
      const code = (await get('shop.example', '/').catch((error: Error) => error.message)).trim().split('\n').at(-1);
      codes.set(code ?? '', (codes.get(code ?? '') ?? 0) + 1);
    }
  })();
  await node.kubectl(['apply', '-f', '-'], { input: ingress.replace('path: /two,', 'path: /second,') });
  await eventually('the new rule', async () => /two-/.test(await get('shop.example', '/second')));
  going = false;
  await load;
  t.not(haproxyPid(), before);
  t.same([...codes.keys()], ['200']);
});

await t.test('a killed HAProxy is started again', async (t) => {
  const before = haproxyPid();
  process.kill(Number(before), 'SIGKILL');
  await eventually('an answer', async () => /one-[\s\S]*200$/.test(await get('shop.example', '/')));
  t.not(haproxyPid(), before);
});

await t.test('a killed daemon leaves HAProxy serving, and the next one takes over from it', async (t) => {
  const before = haproxyPid();
  await node.kill();
  t.match(await get('shop.example', '/'), /one-[\s\S]*200$/);
  await node.start();
  await eventually('another process', async () => haproxyPid() !== before);
  t.match(await get('shop.example', '/'), /one-[\s\S]*200$/);
  await eventually('the old one gone', async () => !existsSync(`/proc/${before}`));
});

await t.test('metrics and health are at a local port', async (t) => {
  t.match(await curl('http://127.0.0.1:10254/metrics'), /haproxy_frontend_http_requests_total/);
  t.match(await curl('http://127.0.0.1:10254/healthz'), /200$/);
});

const service = (name: string, address = ''): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  type: LoadBalancer
  selector: { app: one }
  ports: [{ port: 80, targetPort: http }]
  ${address === '' ? '' : `loadBalancerIP: ${address}`}
---`;
const external = (name: string): Promise<string> =>
  node.kubectl(['get', 'service', name, '-o', 'jsonpath={.status.loadBalancer.ingress[*].ip}']);

await t.test('LoadBalancer Services get addresses of the pool, and the node answers for them', async (t) => {
  await node.kubectl(['apply', '-f', '-'], { input: service('wish', '10.77.255.11') });
  await eventually('the address wished for', async () => (await external('wish')) === '10.77.255.11');
  await node.kubectl(['apply', '-f', '-'], { input: service('any') });
  await eventually('the other address', async () => (await external('any')) === '10.77.255.10');
  for (const address of ['10.77.255.10', '10.77.255.11']) {
    await eventually(`${address} on the link`, async () =>
      (await namespace.exec(['ip', 'addr', 'show', 'dev', 'eth0'])).includes(`${address}/32`),
    );
    await eventually('an answer', async () => /one-[\s\S]*200$/.test(await curl(`http://${address}/`)));
  }
  t.match(await node.kubectl(['describe', 'service', 'any']), /Normal +EnsuredLoadBalancer .*Ensured load balancer/);
});

await t.test('the pool is finite, and what is given back is given away', async (t) => {
  await node.kubectl(['apply', '-f', '-'], { input: service('late') });
  await eventually('the event', async () =>
    /Warning +SyncLoadBalancerFailed .*no address of the pool is free/.test(
      await node.kubectl(['describe', 'service', 'late']),
    ),
  );
  t.match(await node.kubectl(['get', 'service', 'late']), /LoadBalancer .*<pending>/);
  await node.kubectl(['delete', 'service', 'wish']);
  await eventually('the address', async () => (await external('late')) === '10.77.255.11');
  await node.kubectl(['patch', 'service', 'late', '-p', '{"spec":{"type":"ClusterIP"}}']);
  await eventually(
    'the address withdrawn',
    async () => !(await namespace.exec(['ip', 'addr', 'show', 'dev', 'eth0'])).includes('10.77.255.11'),
  );
  t.equal(await external('late'), '');
});

await t.test('without Ingresses HAProxy ends, and so does the node', async (t) => {
  const pid = haproxyPid();
  await node.kubectl(['delete', 'ingress', 'shop']);
  await eventually('no HAProxy', async () => !existsSync(`/proc/${pid}`));
  t.equal(await node.stop(), 0);
});
