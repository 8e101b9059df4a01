import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { pino } from 'pino';
import t from 'tap';
import { endpointslices, namespaces, nodes, services } from '../../daemon/apimachinery/types/resources.ts';
import { FakeClient } from '../../daemon/client/fake-client.ts';
import { startDns } from '../../daemon/dns/dns.ts';
import { removeNetwork } from '../../daemon/network/network.ts';
import { removeProxyRules, startProxy } from '../../daemon/proxy/proxy.ts';
import { type ServiceFixture, serviceOf, sliceOf } from './network-lab/fixtures.ts';
import { Lab, nodeIp, podCidr, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';

const logger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2));
const dnsIp = '10.96.0.10';

/** What `nslookup` in a namespace says of a name; empty: the node's. */
async function lookUp(namespace: string, name: string, type = 'a'): Promise<string> {
  const command = ['busybox', 'nslookup', `-type=${type}`, name, dnsIp];
  const [file = '', ...args] = namespace === '' ? command : ['ip', 'netns', 'exec', namespace, ...command];
  return new Promise((resolve) => {
    execFile(file, args, { timeout: 10_000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

async function get(url: string): Promise<{ status: number; body: string }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}

/** Asks until the answer is as wanted: changes take their way through informers. */
async function eventually<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer) || Date.now() > deadline) return answer;
  }
}

if (inPrivateNetwork(t, import.meta.url)) {
  const lab = await Lab.create(3);
  const client = new FakeClient();
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' }, spec: {} });
  await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node0' }, spec: {} });
  const web: ServiceFixture = {
    name: 'web',
    spec: {
      clusterIP: '10.96.1.1',
      clusterIPs: ['10.96.1.1'],
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 31_999,
      ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }],
    },
    pods: [0, 1],
  };
  await client.create(services, serviceOf(web));
  const slice = await client.create(endpointslices, sliceOf(web));

  const proxy = await startProxy({
    client,
    nodeName: 'node0',
    nodeIps: [nodeIp],
    clusterPodCidr: podCidr,
    backend: 'auto',
    health: { host: '127.0.0.1', port: 10_256 },
    logger,
  });
  const dns = await startDns({
    client,
    listen: { host: dnsIp, port: 53 },
    clusterDomain: 'cluster.local',
    upstreams: [],
    logger,
  });
  t.teardown(async () => {
    await Promise.all([proxy.stop(), dns.stop(), lab.stop()]);
  });
  await Promise.all([proxy.synced, dns.listening]);

  await t.test('a Service in the API is served, and follows its endpoints', async (t) => {
    t.same(await lab.pods[2]!.whoAnswers('10.96.1.1', 80), ['pod0', 'pod1']);
    await client.update(endpointslices, { ...slice, endpoints: sliceOf({ ...web, pods: [2] }).endpoints! });
    const names = await eventually(
      () => lab.node.whoAnswers('10.96.1.1', 80, 8),
      (answer) => answer.join() === 'pod2',
    );
    t.same(names, ['pod2']);
  });

  await t.test('health: the proxy on 10256, the Service on its own port', async (t) => {
    const { status, body } = await get('http://127.0.0.1:10256/healthz');
    t.equal(status, 200);
    t.match(JSON.parse(body), { lastUpdated: String, currentTime: String, nodeEligible: true });
    const check = await get('http://127.0.0.1:31999/');
    t.equal(check.status, 200);
    t.same(JSON.parse(check.body), {
      service: { namespace: 'default', name: 'web' },
      localEndpoints: 1,
      serviceProxyHealthy: true,
    });
    const node = await client.get(nodes, { name: 'node0' });
    const taint = { key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' };
    await client.update(nodes, { ...node, spec: { taints: [taint] } });
    const leaving = await eventually(
      () => get('http://127.0.0.1:10256/healthz'),
      (answer) => answer.status === 503,
    );
    t.equal(leaving.status, 503);
    t.equal((await get('http://127.0.0.1:10256/livez')).status, 200);
  });

  await t.test('names are answered to the node and to pods, over UDP and TCP', async (t) => {
    for (const namespace of ['', 'bn-pod0']) {
      t.match(await lookUp(namespace, 'web.default.svc.cluster.local'), /Address: 10\.96\.1\.1/);
      t.match(await lookUp(namespace, 'nothing.default.svc.cluster.local'), /NXDOMAIN/);
      t.match(
        await lookUp(namespace, '_http._tcp.web.default.svc.cluster.local', 'srv'),
        /web\.default\.svc\.cluster\.local/,
      );
    }
    t.match(await lookUp('bn-pod0', '1.1.96.10.in-addr.arpa', 'ptr'), /web\.default\.svc\.cluster\.local/);
    t.ok((await lab.pods[0]!.request(dnsIp, 53, { timeout: 200 })).error !== 'ECONNREFUSED', 'TCP is open');
    await client.delete(services, { namespace: 'default', name: 'web' });
    t.match(
      await eventually(
        () => lookUp('', 'web.default.svc.cluster.local'),
        (answer) => answer.includes('NXDOMAIN'),
      ),
      /NXDOMAIN/,
    );
  });

  await t.test('the DNS Service is there for users to see', async (t) => {
    const service = await client.get(services, { namespace: 'kube-system', name: 'kube-dns' });
    t.match(service.spec, { clusterIP: dnsIp, ports: [{ name: 'dns' }, { name: 'dns-tcp' }, { name: 'metrics' }] });
  });

  await t.test('metrics have the names dashboards know', async (t) => {
    t.same(await get('http://127.0.0.1:10249/proxyMode'), { status: 200, body: 'nftables' });
    const { body: text } = await get('http://127.0.0.1:10249/metrics');
    t.match((await get(`http://${dnsIp}:9153/metrics`)).body, /^coredns_dns_requests_total/m);
    for (const name of [
      'kubeproxy_sync_proxy_rules_duration_seconds_count',
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'kubeproxy_network_programming_duration_seconds_count',
      'coredns_dns_requests_total',
      'coredns_dns_request_duration_seconds_count',
    ]) {
      t.match(text, new RegExp(`^${name}`, 'm'));
    }
  });

  await t.test('rules that another program takes away come back', async (t) => {
    await client.create(services, serviceOf({ ...web, name: 'again', spec: { clusterIP: '10.96.1.2' } }));
    await client.create(
      endpointslices,
      sliceOf({ ...web, name: 'again', spec: { clusterIP: '10.96.1.2' }, pods: [1] }),
    );
    await eventually(
      () => lab.node.whoAnswers('10.96.1.2', 80, 1, { timeout: 200 }),
      (answer) => answer.join() === 'pod1',
    );
    run('nft', 'flush', 'ruleset');
    await client.create(services, serviceOf({ ...web, name: 'third', spec: { clusterIP: '10.96.1.3' } }));
    const names = await eventually(
      () => lab.node.whoAnswers('10.96.1.2', 80, 1, { timeout: 200 }),
      (answer) => answer.join() === 'pod1',
    );
    t.same(names, ['pod1']);
  });

  await t.test('the rules stay when the proxy stops, and go when asked', async (t) => {
    await proxy.stop();
    t.same(await lab.node.whoAnswers('10.96.1.2', 80, 2), ['pod1']);
    await dns.stop();
    await removeProxyRules(logger);
    await removeNetwork(logger);
    t.equal(run('nft', 'list', 'ruleset'), '');
    t.notMatch(run('ip', 'link'), /balsa/);
  });

  await t.test('a taken port is not the end', async (t) => {
    const blocker = createServer();
    blocker.listen(10_256, '127.0.0.1');
    await once(blocker, 'listening');
    const second = await startProxy({
      client,
      nodeName: 'node0',
      nodeIps: [nodeIp],
      clusterPodCidr: podCidr,
      backend: 'nftables',
      health: { host: '127.0.0.1', port: 10_256 },
      logger,
    });
    await second.synced;
    await second.stop();
    blocker.close();
    t.pass();
  });
}
