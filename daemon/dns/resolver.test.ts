import { type Answer, decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import t from 'tap';
import type { Service } from '../apimachinery/types/core-v1.ts';
import { AnswerCache } from './answer-cache.ts';
import type { ClusterView } from './cluster-view.ts';
import { ClusterZone } from './cluster-zone.ts';
import { listenDns } from './dns-server.ts';
import { Forwarder } from './forwarder.ts';
import { createDnsMetrics } from './metrics.ts';
import { Resolver } from './resolver.ts';

const logger = pino({ level: 'silent' });

const many = Array.from({ length: 200 }, (_, index) => `10.244.${index >> 8}.${index & 255}`);
const services: Record<string, Service['spec']> = {
  web: { clusterIP: '10.96.0.20', clusterIPs: ['10.96.0.20'], ports: [{ name: 'http', port: 80 }] },
  many: { clusterIP: 'None', ports: [{ name: 'http', port: 80 }] },
  alias: { type: 'ExternalName', externalName: 'www.example.com' },
};

const view: ClusterView = {
  serial: 1,
  hasNamespace: (name) => name === 'default',
  service: (_namespace, name) =>
    Object.hasOwn(services, name) ? { metadata: { name, namespace: 'default' }, spec: services[name]! } : undefined,
  slicesOf: (_namespace, name) =>
    name === 'many'
      ? [
          {
            metadata: { name, namespace: 'default' },
            addressType: 'IPv4',
            ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
            endpoints: many.map((ip) => ({ addresses: [ip] })),
          },
        ]
      : [],
  servicesByIp: () => [],
  slicesByIp: () => [],
};

function createResolver(upstreams: readonly string[] = [], isReady = () => true) {
  const registry = new Registry();
  const metrics = createDnsMetrics(registry);
  const cache = new AnswerCache({ capacity: 100, maximumTtl: 30 });
  const resolver = new Resolver({
    zone: new ClusterZone('cluster.local', view, '10.96.0.10'),
    forwarder: new Forwarder({ upstreams: () => upstreams, attemptTimeout: 200, timeout: 500, logger }),
    cache,
    metrics,
    logger,
    server: 'dns://:53',
    isReady,
  });
  return { resolver, registry, cache };
}

function question(name: string, type: string, edns?: { udpPayloadSize: number; version?: number }): Buffer {
  const additionals = edns && [
    {
      type: 'OPT' as const,
      name: '.',
      udpPayloadSize: edns.udpPayloadSize,
      ednsVersion: edns.version ?? 0,
      flags: 0,
      extendedRcode: 0,
      options: [],
    },
  ];
  return Buffer.from(
    encode({
      type: 'query',
      id: 4242,
      flags: 0x100,
      questions: [{ name, type: type as 'A' }],
      ...(additionals && { additionals: additionals as unknown as Answer[] }),
    }),
  );
}

t.test('an answer repeats id, question and its case, and is authoritative', async (t) => {
  const { resolver } = createResolver();
  const answer = decode((await resolver.answer(question('WeB.default.svc.Cluster.local', 'A'), 'udp'))!);
  t.match(answer, { id: 4242, type: 'response', rcode: 'NOERROR', flag_aa: true, flag_ra: true, flag_rd: true });
  t.match(answer.questions, [{ name: 'WeB.default.svc.Cluster.local', type: 'A' }]);
  t.match(answer.answers, [{ name: 'WeB.default.svc.Cluster.local', type: 'A', data: '10.96.0.20', ttl: 30 }]);
});

t.test('what does not fit a datagram is cut and marked; over TCP it comes whole', async (t) => {
  const { resolver } = createResolver();
  const name = 'many.default.svc.cluster.local';
  const small = (await resolver.answer(question(name, 'A'), 'udp'))!;
  t.ok(small.length <= 512);
  t.ok(decode(small).flag_tc);
  const large = (await resolver.answer(question(name, 'A', { udpPayloadSize: 4096 }), 'udp'))!;
  t.ok(large.length > 512 && large.length <= 1232);
  t.ok(decode(large).flag_tc);
  const whole = decode((await resolver.answer(question(name, 'A'), 'tcp'))!);
  t.notOk(whole.flag_tc);
  t.equal(whole.answers?.length, 200);
});

t.test('clients that take the first address are spread over the endpoints', async (t) => {
  const { resolver } = createResolver();
  const firsts = new Set<unknown>();
  for (let count = 0; count < 50; count++) {
    const { answers } = decode((await resolver.answer(question('many.default.svc.cluster.local', 'A'), 'tcp'))!);
    const [first] = answers!;
    firsts.add(first?.type === 'A' ? first.data : undefined);
  }
  // That 50 draws of 200 all meet fewer than 10 does not happen.
  t.ok(firsts.size > 10);
});

t.test('EDNS is answered with EDNS; a version of the future is refused', async (t) => {
  const { resolver } = createResolver();
  const name = 'web.default.svc.cluster.local';
  const plain = decode((await resolver.answer(question(name, 'A'), 'udp'))!);
  t.equal(plain.additionals?.length, 0);
  const edns = decode((await resolver.answer(question(name, 'A', { udpPayloadSize: 1232 }), 'udp'))!);
  t.match(edns.additionals, [{ type: 'OPT', udpPayloadSize: 1232 }]);
  const future = (await resolver.answer(question(name, 'A', { udpPayloadSize: 1232, version: 1 }), 'udp'))!;
  t.match(decode(future).additionals, [{ type: 'OPT', extendedRcode: 1 }], 'BADVERS is 16: its high bits are in OPT');
});

t.test('until the cluster has been read, its names fail rather than not exist', async (t) => {
  const { resolver } = createResolver([], () => false);
  const answer = decode((await resolver.answer(question('web.default.svc.cluster.local', 'A'), 'udp'))!);
  t.match(answer, { rcode: 'SERVFAIL' });
});

t.test('the world is asked once, and its answer remembered with its time counted down', async (t) => {
  let asked = 0;
  const upstream = await listenDns({
    host: '127.0.0.1',
    port: 0,
    logger,
    resolver: {
      async answer(message) {
        asked++;
        const { id, questions } = decode(message);
        const answers: Answer[] = [{ name: questions![0]!.name, type: 'A', ttl: 60, data: '192.0.2.7' }];
        return Buffer.from(encode({ type: 'response', id: id!, questions: questions!, answers }));
      },
    },
  });
  t.teardown(() => upstream.close());
  const { resolver, registry } = createResolver([`127.0.0.1#${upstream.port}`]);
  for (const name of ['www.example.com', 'WWW.example.com', 'www.example.com']) {
    const answer = decode((await resolver.answer(question(name, 'A'), 'udp'))!);
    t.match(answer, { id: 4242, rcode: 'NOERROR', questions: [{ name }], answers: [{ data: '192.0.2.7' }] });
  }
  t.equal(asked, 1);
  const alias = decode((await resolver.answer(question('alias.default.svc.cluster.local', 'A'), 'udp'))!);
  t.match(alias.answers, [
    { type: 'CNAME', data: 'www.example.com' },
    { name: 'www.example.com', type: 'A', data: '192.0.2.7' },
  ]);
  t.match(await registry.metrics(), /coredns_cache_hits_total\{.*type="success".*\} 3/);
  t.match(await registry.metrics(), /coredns_dns_requests_total\{.*zone="cluster.local\.".*type="A"\} 1/);
});

t.test('without a resolver that answers, names of the world fail', async (t) => {
  for (const upstreams of [[], ['127.0.0.1#1']]) {
    const { resolver } = createResolver(upstreams);
    t.match(decode((await resolver.answer(question('example.com', 'A'), 'udp'))!), { rcode: 'SERVFAIL' });
  }
});

t.test('answers and scraps get no answer; malformed queries an error', async (t) => {
  const { resolver } = createResolver();
  t.equal(await resolver.answer(Buffer.alloc(0), 'udp'), undefined);
  t.equal(await resolver.answer(Buffer.alloc(11), 'udp'), undefined);
  const reply = question('example.com', 'A');
  reply[2] = 0x81;
  t.equal(await resolver.answer(reply, 'udp'), undefined, 'or two servers would answer each other for ever');
  const noQuestion = Buffer.from('1234010000000000000000000', 'hex');
  t.equal(((await resolver.answer(noQuestion, 'udp'))?.[3] ?? 0) & 0xf, 1);
  const update = question('example.com', 'A');
  update[2] = 0x28;
  t.equal(((await resolver.answer(update, 'udp'))?.[3] ?? 0) & 0xf, 4);
});

t.test('no bytes make the resolver fail, loop or answer more than was allowed', async (t) => {
  const { resolver, registry } = createResolver();
  const check = async (message: Uint8Array) => {
    const answer = await resolver.answer(Buffer.from(message), 'udp');
    return answer === undefined || (answer.length >= 12 && answer.length <= 1232);
  };
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), check), { numRuns: 2000 });
  // Damage in otherwise right queries gets further.
  const base = question('_http._tcp.many.default.svc.cluster.local', 'SRV', { udpPayloadSize: 4096 });
  const damage = fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(base.length), async (changes, cut) => {
      const message = Buffer.from(base.subarray(0, cut === 0 ? base.length : cut));
      for (const [offset, value] of changes) if (offset < message.length) message[offset] = value;
      message[2] = 1;
      return check(message);
    }),
    { numRuns: 4000 },
  );
  t.match(await registry.metrics(), /coredns_panics_total 0/);
});
