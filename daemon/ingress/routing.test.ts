import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Secret, Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import type { HTTPIngressPath, Ingress, IngressSpec } from '../apimachinery/types/networking-v1.ts';
import { createAuthority } from '../cluster/pki/certificate.ts';
import { assignSlots, renderHaproxy, slotsFor } from './haproxy-config.ts';
import { isOurs } from './ingress-class.ts';
import { desiredRouting, type Routing } from './routing.ts';

let made = 0;
const ingress = (name: string, spec: IngressSpec): Ingress => ({
  metadata: { namespace: 'shop', name, uid: name, creationTimestamp: `2026-01-01T00:00:0${made++ % 10}Z` },
  spec,
});
const to = (service: string, port: number | string = 80) => ({
  service: { name: service, port: typeof port === 'number' ? { number: port } : { name: port } },
});
const path = (pathText: string, service: string, pathType = 'Prefix'): HTTPIngressPath => ({
  path: pathText,
  pathType,
  backend: to(service),
});
const service = (name: string): Service => ({
  metadata: { namespace: 'shop', name },
  spec: { ports: [{ name: 'http', port: 80 }] },
});
const slice = (...endpoints: [string, boolean, boolean?][]): EndpointSlice => ({
  metadata: { namespace: 'shop', name: 'a' },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080 }],
  endpoints: endpoints.map(([address, ready, serving]) => ({
    addresses: [address],
    conditions: { ready, ...(serving === undefined ? {} : { serving }) },
  })),
});

function route(
  ingresses: Ingress[],
  slices: Record<string, EndpointSlice[]> = {},
  secrets: Record<string, Secret> = {},
): Routing {
  const known = new Map(['a', 'b', 'c'].map((name) => [`shop/${name}`, service(name)]));
  return desiredRouting({
    ingresses,
    service: (key) => known.get(key),
    slicesOf: (key) => slices[key] ?? [],
    secret: (key) => secrets[key],
  });
}

t.test('hosts and paths become keys, prefixes without their last slash', async (t) => {
  const routing = route([
    ingress('one', {
      rules: [
        { host: 'Shop.example', http: { paths: [path('/', 'a'), path('/cart/', 'b'), path('/cart', 'c', 'Exact')] } },
        { host: '*.shop.example', http: { paths: [path('/api', 'b', 'ImplementationSpecific')] } },
        { http: { paths: [path('/', 'c')] } },
      ],
    }),
  ]);
  t.same([...routing.hosts], ['shop.example', '*.shop.example', '*']);
  t.same(Object.fromEntries(routing.exact), { 'shop.example/cart': 'shop_c_80' });
  t.same(Object.fromEntries(routing.prefix), {
    'shop.example/': 'shop_a_80',
    'shop.example/cart/': 'shop_b_80',
    '*.shop.example/api/': 'shop_b_80',
    '*/': 'shop_c_80',
  });
  t.same(routing.problems, []);
});

t.test('the older of two Ingresses keeps a path, and the younger is told', async (t) => {
  const old = ingress('old', { rules: [{ host: 'x', http: { paths: [path('/', 'a')] } }] });
  const young = ingress('young', { rules: [{ host: 'x', http: { paths: [path('/', 'b')] } }] });
  const routing = route([young, old]);
  t.equal(routing.prefix.get('x/'), 'shop_a_80');
  t.match(routing.problems, [{ ingress: young, reason: 'PathConflict' }]);
});

t.test('default backends serve what no rule names', async (t) => {
  const routing = route([
    ingress('mixed', { defaultBackend: to('a'), rules: [{ host: 'x', http: { paths: [path('/p', 'b')] } }] }),
    ingress('alone', { defaultBackend: to('c', 'http') }),
  ]);
  t.equal(routing.prefix.get('x/'), 'shop_a_80');
  t.equal(routing.defaultBackend, 'shop_c_http', 'an Ingress that is nothing else wins');
});

t.test('backends are the ready endpoints, else those that still serve', async (t) => {
  const rules = [{ http: { paths: [path('/', 'a'), path('/b', 'b')] } }];
  const routing = route([ingress('one', { rules })], {
    'shop/a': [slice(['10.0.0.2', true], ['10.0.0.1', true], ['10.0.0.3', false, true])],
    'shop/b': [slice(['10.0.0.4', false, true], ['10.0.0.5', false, false])],
  });
  t.same(routing.backends.get('shop_a_80'), [
    { address: '10.0.0.1', port: 8080 },
    { address: '10.0.0.2', port: 8080 },
  ]);
  t.same(routing.backends.get('shop_b_80'), [{ address: '10.0.0.4', port: 8080 }]);
});

t.test('what cannot be resolved is reported and answers 503', async (t) => {
  const routing = route([
    ingress('bad', {
      tls: [{ secretName: 'none', hosts: ['x'] }],
      rules: [
        {
          host: 'x',
          http: {
            paths: [
              path('/', 'missing'),
              { path: '/port', pathType: 'Prefix', backend: to('a', 81) },
              { path: '/resource', pathType: 'Prefix', backend: { resource: { kind: 'Bucket', name: 'b' } } },
              path('/with space', 'a'),
            ],
          },
        },
      ],
    }),
  ]);
  t.same(
    routing.problems.map(({ reason }) => reason),
    ['ServiceNotFound', 'ServicePortNotFound', 'UnsupportedBackend', 'InvalidPath', 'InvalidTLSSecret'],
  );
  t.same(routing.backends.get('shop_missing_80'), []);
  t.notOk(routing.prefix.has('x/resource/'));
});

t.test('a certificate whose key is another one is refused', async (t) => {
  const now = new Date();
  const [one, other] = [await createAuthority('one', now), await createAuthority('other', now)];
  const secret = (cert: string, key: string): Secret => ({
    metadata: {},
    data: { 'tls.crt': Buffer.from(cert).toString('base64'), 'tls.key': Buffer.from(key).toString('base64') },
  });
  const spec: IngressSpec = { tls: [{ secretName: 's', hosts: ['x', '*.y'] }], defaultBackend: to('a') };
  const good = route([ingress('tls', spec)], {}, { 'shop/s': secret(one.cert, one.key) });
  t.match(good.certificates, [{ secret: 'shop/s', hosts: ['*.y', 'x'] }]);
  t.match(good.certificates[0]?.pem, /BEGIN CERTIFICATE[\s\S]*PRIVATE KEY/);
  const bad = route([ingress('tls', spec)], {}, { 'shop/s': secret(one.cert, other.key) });
  t.same(bad.certificates, []);
  t.match(bad.problems, [{ reason: 'InvalidTLSSecret' }]);
});

t.test('endpoints that stay keep their slots; one that goes makes room for one that comes', async (t) => {
  const [a, b, c] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => ({ address, port: 80 }));
  if (a === undefined || b === undefined || c === undefined) throw new Error('three were made');
  const first = assignSlots('be', 4, [a, b], []);
  t.same(first.assigned, [a, b, undefined, undefined]);
  const second = assignSlots('be', 4, [b, c], first.assigned);
  t.same(second.assigned, [c, b, undefined, undefined]);
  t.same(second.commands, ['set server be/s1 addr 10.0.0.3 port 80', 'set server be/s1 state ready']);
  t.same(assignSlots('be', 4, [], second.assigned).commands, [
    'set server be/s1 state maint',
    'set server be/s2 state maint',
  ]);
  t.same(assignSlots('be', 4, [b, c], second.assigned).commands, []);
});

t.test('a backend never loses slots', async (t) => {
  const endpoints = Array.from({ length: 9 }, (_, i): [string, boolean] => [`10.0.0.${i}`, true]);
  const rules = [{ http: { paths: [path('/', 'a')] } }];
  const many = route([ingress('one', { rules })], { 'shop/a': [slice(...endpoints)] });
  const slots = slotsFor(many, new Map());
  t.equal(slots.get('shop_a_80'), 16);
  t.equal(slotsFor(route([ingress('one', { rules })]), slots).get('shop_a_80'), 16);
});

t.test('only Ingresses of a class of our controller are ours', async (t) => {
  const classes = [
    { metadata: { name: 'balsa' }, spec: { controller: 'balsa.io/haproxy' } },
    { metadata: { name: 'nginx' }, spec: { controller: 'k8s.io/ingress-nginx' } },
  ];
  t.equal(isOurs(ingress('a', { ingressClassName: 'balsa' }), classes), true);
  t.equal(isOurs(ingress('a', { ingressClassName: 'nginx' }), classes), false);
  t.equal(isOurs(ingress('a', {}), classes), false);
  const annotated = ingress('a', {});
  annotated.metadata.annotations = { 'kubernetes.io/ingress.class': 'balsa' };
  t.equal(isOurs(annotated, classes), true);
});

t.test('HAProxy accepts what is written for it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-haproxy-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const { cert, key } = await createAuthority('test', new Date());
  const tls = {
    metadata: {},
    data: { 'tls.crt': Buffer.from(cert).toString('base64'), 'tls.key': Buffer.from(key).toString('base64') },
  };
  const routing = route(
    [
      ingress('one', {
        tls: [{ secretName: 's', hosts: ['x.example', '*.x.example'] }],
        rules: [
          { host: 'x.example', http: { paths: [path('/', 'a'), path('/e', 'b', 'Exact')] } },
          { host: '*.x.example', http: { paths: [path('/', 'c')] } },
        ],
      }),
    ],
    { 'shop/a': [slice(['10.0.0.1', true])] },
    { 'shop/s': tls },
  );
  const slots = slotsFor(routing, new Map());
  const assigned = new Map([...routing.backends].map(([name, all]) => [name, assignSlots(name, 4, all, []).assigned]));
  const settings = {
    directory,
    socket: join(directory, 'sock'),
    httpPort: 18080,
    httpsPort: 18443,
    metricsPort: 18054,
    ipv6: true,
  };
  for (const [file, text] of renderHaproxy(routing, slots, assigned, settings, cert + key))
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  const checked = spawnSync('haproxy', ['-c', '-f', join(directory, 'haproxy.cfg')], { encoding: 'utf8' });
  t.equal(checked.status, 0, checked.stderr);
  t.notMatch(checked.stderr, /WARNING/);
});
