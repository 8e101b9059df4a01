import t from 'tap';
import { Image } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { Container, Pod, Service } from '../../apimachinery/types/core-v1.ts';
import { podCgroupParent } from './cgroups.ts';
import { parseResolvConf, podDns } from './dns.ts';
import { fieldValue, formatMap, resourceValue } from './downward.ts';
import { containerEnvironment } from './environment.ts';
import { expand } from './expansion.ts';
import { hostsFile, podHostname } from './hosts-file.ts';
import { qosClass } from './qos.ts';
import { linuxResources, milliCpuToQuota, milliCpuToShares, oomScoreAdjust } from './resources.ts';
import { containerSecurityContext, verifyRunAsNonRoot } from './security-context.ts';

const pod = (spec: Partial<Pod['spec']> = {}, metadata: Pod['metadata'] = {}): Pod => ({
  metadata: { name: 'web', namespace: 'shop', uid: 'u-1', ...metadata },
  spec: { containers: [{ name: 'c' }], ...spec },
});
const facts = { podIps: ['10.0.0.5'], hostIps: ['192.0.2.1'], nodeAllocatable: { cpu: '2', memory: '4Gi' } };

t.test('references in commands and values', async (t) => {
  const values: Record<string, string> = { A: 'a', EMPTY: '', B_C: 'b' };
  const cases: [string, string][] = [
    ['$(A)', 'a'],
    ['x$(A)y$(B_C)', 'xayb'],
    ['$(EMPTY)', ''],
    ['$(NONE)', '$(NONE)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$a'],
    ['$A $', '$A $'],
    ['$(A', '$(A'],
    ['$($(A))', '$($(A))'],
  ];
  for (const [input, output] of cases)
    t.equal(
      expand(input, (name) => values[name]),
      output,
      input,
    );
});

t.test('the environment: env beats envFrom, which beats services', async (t) => {
  const service: Service = {
    metadata: { name: 'my-db', namespace: 'shop' },
    spec: {
      clusterIP: '10.96.0.7',
      ports: [
        { name: 'sql', port: 5432 },
        { port: 53, protocol: 'UDP' },
      ],
    },
  };
  const container: Container = {
    name: 'c',
    envFrom: [{ configMapRef: { name: 'm' }, prefix: 'P_' }, { secretRef: { name: 'gone', optional: true } }],
    env: [
      { name: 'P_x', value: 'own' },
      { name: 'DB', value: '$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT)' },
      { name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'NOT', valueFrom: { configMapKeyRef: { name: 'm', key: 'none', optional: true } } },
    ],
  };
  const missing = () => Promise.reject(Object.assign(new Error('gone'), { name: 'ApiError' }));
  const { apiError } = await import('../../apimachinery/api-error.ts');
  const environment = await containerEnvironment({
    pod: pod(),
    container,
    facts,
    services: [service],
    config: {
      configMap: async () => ({ metadata: {}, data: { x: 'map', y: 'why' } }),
      secret: () => Promise.reject(apiError('NotFound', 'secret "gone" not found')),
    },
  });
  t.match(Object.fromEntries(environment), {
    P_x: 'own',
    P_y: 'why',
    DB: '10.96.0.7:5432',
    ME: 'web',
    MY_DB_SERVICE_PORT_SQL: '5432',
    MY_DB_PORT: 'tcp://10.96.0.7:5432',
    MY_DB_PORT_53_UDP_ADDR: '10.96.0.7',
  });
  t.notOk(environment.has('NOT'));
  await t.rejects(
    containerEnvironment({
      pod: pod(),
      container: { name: 'c', env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'm', key: 'k' } } }] },
      facts,
      services: [],
      config: { configMap: async () => ({ metadata: {}, data: {} }), secret: missing },
    }),
    { message: "couldn't find key k in ConfigMap shop/m" },
  );
});

t.test('the downward API', async (t) => {
  const one = pod(
    { containers: [{ name: 'c', resources: { limits: { cpu: '1500m', memory: '1Gi' } } }] },
    { labels: { b: '2', a: 'x"y' }, annotations: { 'k/1': 'v' } },
  );
  t.equal(fieldValue(one, "metadata.annotations['k/1']", facts), 'v');
  t.equal(fieldValue(one, 'status.podIP', facts), '10.0.0.5');
  t.equal(formatMap(one.metadata?.labels), 'a="x\\"y"\nb="2"');
  t.throws(() => fieldValue(one, 'spec.secret', facts), /unsupported fieldPath/);
  const value = (resource: string, divisor?: string) =>
    resourceValue(one, { resource, containerName: 'c', ...(divisor === undefined ? {} : { divisor }) }, facts);
  t.equal(value('limits.cpu'), '2');
  t.equal(value('limits.cpu', '1m'), '1500');
  t.equal(value('limits.memory', '1Mi'), '1024');
  t.equal(value('limits.ephemeral-storage'), '0');
  t.equal(resourceValue(pod(), { resource: 'limits.cpu', containerName: 'c' }, facts), '2', "the node's, if unset");
});

t.test('resolv.conf by policy', async (t) => {
  const host = parseResolvConf(
    'domain old\nsearch corp.example\nnameserver 9.9.9.9\n; comment\noptions rotate ndots:2\n',
  );
  const cluster = { servers: ['10.96.0.10'], domain: 'cluster.local' };
  const first = podDns(pod(), cluster, host);
  t.strictSame(first.servers, ['10.96.0.10']);
  t.strictSame(first.searches, ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'corp.example']);
  t.strictSame(first.options, ['ndots:5']);
  t.strictSame(podDns(pod({ dnsPolicy: 'Default' }), cluster, host).servers, ['9.9.9.9']);
  t.strictSame(podDns(pod({ hostNetwork: true }), cluster, host).servers, ['9.9.9.9']);
  t.strictSame(podDns(pod({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), cluster, host).servers, [
    '10.96.0.10',
  ]);
  const own = podDns(
    pod({
      dnsPolicy: 'None',
      dnsConfig: {
        nameservers: ['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4'],
        searches: ['a'],
        options: [{ name: 'ndots', value: '1' }],
      },
    }),
    cluster,
    host,
  );
  t.strictSame(own, { servers: ['1.1.1.1', '2.2.2.2', '3.3.3.3'], searches: ['a'], options: ['ndots:1'] });
});

t.test('host name and hosts file', async (t) => {
  t.equal(podHostname(pod({}, { name: `${'a'.repeat(62)}-.b` }), 'cluster.local').hostname, 'a'.repeat(62));
  const named = pod({ hostname: 'h', subdomain: 's', hostAliases: [{ ip: '1.2.3.4', hostnames: ['x', 'y'] }] });
  const text = hostsFile(named, ['10.0.0.5'], 'cluster.local', '');
  t.match(text, '\n10.0.0.5\th.s.shop.svc.cluster.local\th\n');
  t.match(text, '\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n');
  t.match(hostsFile(pod({ hostNetwork: true }), [], 'c.l', '127.0.0.1 me\n'), /host network\)\.\n127\.0\.0\.1 me/);
});

t.test('resources', async (t) => {
  t.strictSame([0, 1, 250, 1000, 1_000_000].map(milliCpuToShares), [2, 2, 256, 1024, 262_144]);
  t.strictSame([0, 1, 250, 2000].map(milliCpuToQuota), [0, 1000, 25_000, 200_000]);
  const list = (cpu: string, memory: string) => ({ cpu, memory });
  const guaranteed = pod({ containers: [{ name: 'c', resources: { limits: list('1', '1Gi') } }] });
  const burstable = pod({ containers: [{ name: 'c', resources: { requests: list('1', '1Gi') } }] });
  t.strictSame([guaranteed, burstable, pod()].map(qosClass), ['Guaranteed', 'Burstable', 'BestEffort']);
  const adjust = (one: Pod) => oomScoreAdjust(one, one.spec?.containers[0] ?? { name: '' }, 4 * 1024 ** 3);
  t.strictSame([guaranteed, burstable, pod()].map(adjust), [-997, 750, 1000]);
  t.equal(adjust(pod({ priority: 2_000_000_000 })), -997);
  const resources = linuxResources(guaranteed, guaranteed.spec?.containers[0] ?? { name: '' }, {
    memoryBytes: 1,
    cgroup2: true,
  });
  t.match(resources, { cpuShares: 1024n, cpuQuota: 100_000n, memoryLimitInBytes: 1_073_741_824n });
  t.strictSame(resources.unified, { 'memory.oom.group': '1' });
  t.equal(podCgroupParent(burstable, false), '/kubepods/burstable/podu-1');
  t.equal(podCgroupParent(guaranteed, true), 'kubepods-podu_1.slice');
});

t.test('who a container runs as', async (t) => {
  const rootImage = Image.fromPartial({ uid: { value: 0n } });
  const named = Image.fromPartial({ username: 'www' });
  const nonRoot = { securityContext: { runAsNonRoot: true } };
  const check =
    (image: Image, container: Partial<Container> = {}) =>
    () =>
      verifyRunAsNonRoot(pod(nonRoot), { name: 'c', ...container }, image);
  t.throws(check(rootImage), {
    message: 'container has runAsNonRoot and image will run as root (pod: "web_shop(u-1)", container: c)',
  });
  t.throws(check(named), /image has non-numeric user \(www\), cannot verify user is non-root/);
  t.throws(check(rootImage, { securityContext: { runAsUser: 0 } }), /container's runAsUser breaks non-root policy/);
  t.doesNotThrow(check(rootImage, { securityContext: { runAsUser: 7 } }));
  t.doesNotThrow(check(rootImage, { securityContext: { runAsNonRoot: false } }));
  const context = containerSecurityContext({
    pod: pod({ securityContext: { runAsUser: 5, fsGroup: 9, supplementalGroups: [8] }, hostNetwork: true }),
    container: { name: 'c', securityContext: { privileged: true, allowPrivilegeEscalation: false } },
    image: rootImage,
    seccompDirectory: '/s/',
  });
  t.match(context, { runAsUser: { value: 5n }, supplementalGroups: [8n, 9n], noNewPrivs: true, maskedPaths: [] });
  t.equal(context.namespaceOptions?.network, 2);
});
