import { pino } from 'pino';
import t from 'tap';
import type { Pod } from '../../daemon/apimachinery/types/core-v1.ts';
import type { NetworkPolicySpec } from '../../daemon/apimachinery/types/networking-v1.ts';
import { namespaces, networkpolicies, pods } from '../../daemon/apimachinery/types/resources.ts';
import { FakeClient } from '../../daemon/client/fake-client.ts';
import { removeNetworkPolicy, startNetworkPolicy } from '../../daemon/network/policy/network-policy.ts';
import { loadNetlink } from '../../daemon/proxy/netlink.ts';
import { NftablesBackend } from '../../daemon/proxy/nftables/nftables-backend.ts';
import { rulesOf } from './network-lab/fixtures.ts';
import { type Agent, Lab, nodeIp, outsideIp, podCidr, podCidr6, run } from './network-lab/lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';

const logger = pino({ level: process.env['BALSA_LOG_LEVEL'] ?? 'silent' }, pino.destination(2));

function pod(index: number, namespace: string, labels: Record<string, string>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod${index}`, namespace, labels },
    spec: {
      nodeName: 'node0',
      containers: [{ name: 'main', ports: [{ name: 'web', containerPort: 8080, protocol: 'TCP' }] }],
    },
    status: {
      phase: 'Running',
      podIP: Lab.podIp(index),
      podIPs: [{ ip: Lab.podIp(index) }, { ip: Lab.podIp6(index) }],
    },
  };
}

if (inPrivateNetwork(t, import.meta.url)) {
  const netlink = loadNetlink();
  const lab = await Lab.create(3);
  const client = new FakeClient();
  for (const [name, team] of [
    ['default', 'a'],
    ['other', 'b'],
  ] as const) {
    await client.create(namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { team } },
      spec: {},
    });
  }
  for (const one of [
    pod(0, 'default', { app: 'web' }),
    pod(1, 'default', { app: 'client' }),
    pod(2, 'other', { app: 'client' }),
  ]) {
    const created = await client.create(pods, one);
    await client.update(pods, { ...created, status: one.status! }, { subresource: 'status' });
  }
  await lab.pods[0]!.listen(9090, 'TCP', '::');
  const enforcer = await startNetworkPolicy({ client, nodeName: 'node0', netlink, logger });
  t.teardown(async () => {
    await Promise.all([enforcer.stop(), lab.stop()]);
  });
  await enforcer.synced;
  const [web, friend, stranger] = lab.pods as [Agent, Agent, Agent];

  /** Who reaches the web pod: names of those that are answered. */
  const reaching = async (port = 8080, ip = Lab.podIp(0)) => {
    const from = [web, friend, stranger, lab.node, lab.outside];
    const replies = await Promise.all(from.map((agent) => agent.request(ip, port, { timeout: 250 })));
    return from.filter((_, index) => replies[index]!.name === 'pod0').map((agent) => agent.name);
  };
  const isolate = async (spec: NetworkPolicySpec, name = 'policy', namespace = 'default') => {
    const metadata = { name, namespace };
    await client.create(networkpolicies, { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec });
  };
  const clear = () => client.deleteCollection(networkpolicies, {});
  /** Asks until the answer is as wanted: changes take their way through informers. */
  const eventually = async <T>(ask: () => Promise<T>, wanted: T): Promise<T> => {
    const deadline = Date.now() + 5000;
    for (;;) {
      const answer = await ask();
      if (JSON.stringify(answer) === JSON.stringify(wanted) || Date.now() > deadline) return answer;
    }
  };
  const expectReaching = async (t: Pick<typeof import('tap').t, 'same'>, wanted: string[], port = 8080, ip?: string) =>
    t.same(await eventually(() => reaching(port, ip), wanted), wanted);
  // The client outside knows no way to the pods but by the node.
  run('ip', '-n', 'bn-outside', 'route', 'add', '10.244.0.0/16', 'via', nodeIp);
  run('ip', '-n', 'bn-outside', '-6', 'route', 'add', 'fd00:10:244::/56', 'via', '2001:db8::1');
  const webPods = { matchLabels: { app: 'web' } };

  await t.test('without a policy everybody reaches everybody, and there is no table', async (t) => {
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node', 'outside']);
    t.notMatch(run('nft', 'list', 'tables'), /balsa-policy/);
  });

  await t.test('an empty policy keeps all out but the pod itself and its node', async (t) => {
    await isolate({ podSelector: webPods });
    await expectReaching(t, ['pod0', 'node']);
    await expectReaching(t, ['pod0', 'node'], 8080, Lab.podIp6(0));
    t.ok((await web.request(Lab.podIp(1), 8080)).name, 'it may still reach others');
    await clear();
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node', 'outside']);
    t.notMatch(run('nft', 'list', 'tables'), /balsa-policy/);
  });

  await t.test('peers by pod and namespace', async (t) => {
    await isolate({ podSelector: webPods, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }] }] });
    await expectReaching(t, ['pod0', 'pod1', 'node']);
    await isolate(
      { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'b' } } }] }] },
      'more',
    );
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node']);
    await clear();
    const both = { namespaceSelector: {}, podSelector: { matchLabels: { app: 'client' } } };
    await isolate({ podSelector: webPods, ingress: [{ from: [both] }] });
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node']);
    await client.patch(
      pods,
      { namespace: 'default', name: 'pod1' },
      { metadata: { labels: { app: 'x' } } },
      { type: 'merge' },
    );
    await expectReaching(t, ['pod0', 'pod2', 'node']);
    await client.patch(
      pods,
      { namespace: 'default', name: 'pod1' },
      { metadata: { labels: { app: 'client' } } },
      { type: 'merge' },
    );
    await clear();
  });

  await t.test('ports by number, range and name', async (t) => {
    await isolate({ podSelector: webPods, ingress: [{ ports: [{ port: 9090, protocol: 'TCP' }] }] });
    await expectReaching(t, ['pod0', 'node']);
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node', 'outside'], 9090);
    await clear();
    await isolate({ podSelector: webPods, ingress: [{ ports: [{ port: 8000, endPort: 8100 }] }] });
    await expectReaching(t, ['pod0', 'node'], 9090);
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node', 'outside']);
    await clear();
    await isolate({ podSelector: webPods, ingress: [{ ports: [{ port: 'web' }], from: [{ podSelector: {} }] }] });
    await expectReaching(t, ['pod0', 'node'], 9090);
    await expectReaching(t, ['pod0', 'pod1', 'node']);
    await clear();
  });

  await t.test('blocks of addresses with exceptions', async (t) => {
    await isolate({ podSelector: webPods, ingress: [{ from: [{ ipBlock: { cidr: '192.0.2.0/24' } }] }] });
    await expectReaching(t, ['pod0', 'node', 'outside']);
    await clear();
    const except = [`${outsideIp}/32`, `${Lab.podIp(2)}/32`];
    await isolate({ podSelector: webPods, ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0', except } }] }] });
    await expectReaching(t, ['pod0', 'pod1', 'node']);
    await clear();
  });

  await t.test('egress, also through Services', async (t) => {
    const backend = new NftablesBackend({ netlink, logger, clusterPodCidrs: [podCidr, podCidr6], nodeIps: [nodeIp] });
    await backend.sync(
      rulesOf(
        { name: 'one', spec: { clusterIP: '10.96.1.1' }, pods: [1] },
        { name: 'two', spec: { clusterIP: '10.96.1.2' }, pods: [2] },
        { name: 'self', spec: { clusterIP: '10.96.1.3' }, pods: [0] },
      ),
    );
    const reached = async () => {
      const targets: [string, number][] = [
        [Lab.podIp(0), 8080],
        ['10.96.1.1', 80],
        ['10.96.1.2', 80],
        ['10.96.1.3', 80],
      ];
      return Promise.all(targets.map(async ([ip, port]) => (await web.request(ip, port, { timeout: 250 })).name ?? ''));
    };
    const toClients = { podSelector: { matchLabels: { app: 'client' } } };
    await isolate({ podSelector: webPods, policyTypes: ['Egress'], egress: [{ to: [toClients] }] });
    const wanted = ['pod0', 'pod1', '', 'pod0'];
    t.same(await eventually(reached, wanted), wanted);
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node', 'outside']);
    await clear();
    await isolate({ podSelector: webPods, policyTypes: ['Egress'] });
    const alone = ['pod0', '', '', 'pod0'];
    t.same(await eventually(reached, alone), alone);
    await clear();
    await backend.cleanup();
  });

  await t.test('a restart replaces what was there; removal leaves nothing', async (t) => {
    await isolate({ podSelector: webPods });
    await expectReaching(t, ['pod0', 'node']);
    await enforcer.stop();
    await clear();
    const second = await startNetworkPolicy({ client, nodeName: 'node0', netlink, logger });
    await second.synced;
    await expectReaching(t, ['pod0', 'pod1', 'pod2', 'node', 'outside']);
    await second.stop();
    await removeNetworkPolicy(netlink);
    t.equal(run('nft', 'list', 'ruleset'), '');
  });
}
