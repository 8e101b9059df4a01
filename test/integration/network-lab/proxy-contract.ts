import type { Test } from 'tap';
import type { Netlink } from '../../../daemon/proxy/netlink.ts';
import type { RuleBackend, ServiceRules } from '../../../daemon/proxy/service-rules.ts';
import { forgetStaleConnections } from '../../../daemon/proxy/stale-connections.ts';
import { rulesOf, type ServiceFixture } from './fixtures.ts';
import { Lab, nodeIp, outsideIp } from './lab.ts';

const none: ServiceRules = { ports: new Map() };

/**
 * What every `RuleBackend` must make the kernel do, shown with real packets: each backend is put through the same tests.
 */
export async function proxyContract(
  t: Test,
  lab: Lab,
  netlink: Netlink,
  create: () => Promise<RuleBackend> | RuleBackend,
  /** What the kernel side cannot do, whoever programs it. */
  { seesLocalhost = true, tellsClientsApart = true }: { seesLocalhost?: boolean; tellsClientsApart?: boolean } = {},
): Promise<void> {
  let backend = await create();
  let written = none;
  const apply = async (...fixtures: ServiceFixture[]) => {
    const desired = rulesOf(...fixtures);
    const applied = await backend.sync(desired);
    await forgetStaleConnections(netlink, written, desired, [nodeIp]);
    written = desired;
    return applied;
  };
  const [pod0, pod1] = lab.pods;
  const web: ServiceFixture = { name: 'web', spec: { clusterIP: '10.96.1.1' }, pods: [0, 1, 2] };
  const all = ['pod0', 'pod1', 'pod2'];

  await t.test('a cluster IP reaches every endpoint, from the node, from a pod and from outside', async (t) => {
    await apply(web);
    t.same(await lab.node.whoAnswers('10.96.1.1', 80), all);
    t.same(await pod1!.whoAnswers('10.96.1.1', 80), all);
    t.same(await lab.outside.whoAnswers('10.96.1.1', 80), all);
    const fromPod = await pod1!.request('10.96.1.1', 80);
    t.ok(fromPod.name === 'pod1' || fromPod.client === Lab.podIp(1), 'pods keep their address');
    const fromOutside = await lab.outside.request('10.96.1.1', 80);
    t.not(fromOutside.client, outsideIp, 'others do not: the reply must come back through this node');
  });

  await t.test('a pod reaches itself through its Service', async (t) => {
    await apply({ ...web, pods: [0] });
    t.same(await pod0!.whoAnswers('10.96.1.1', 80, 4), ['pod0']);
  });

  await t.test('a node port answers on all addresses of the node, localhost included', async (t) => {
    await apply({ ...web, spec: { ...web.spec, type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] } });
    t.same(await lab.outside.whoAnswers(nodeIp, 30080), all);
    t.same(await lab.node.whoAnswers(nodeIp, 30080), all);
    if (seesLocalhost) t.same(await lab.node.whoAnswers('127.0.0.1', 30080), all);
    t.same(await pod1!.whoAnswers(nodeIp, 30080), all);
    t.not((await lab.outside.request(nodeIp, 30080)).client, outsideIp);
  });

  await t.test('changes of endpoints take effect with the next connection', async (t) => {
    await apply({ ...web, pods: [0, 1] });
    t.same(await lab.node.whoAnswers('10.96.1.1', 80), ['pod0', 'pod1']);
    await apply({ ...web, pods: [2] });
    t.same(await lab.node.whoAnswers('10.96.1.1', 80, 6), ['pod2']);
    await apply(web, { name: 'other', spec: { clusterIP: '10.96.1.2' }, pods: [1] });
    t.same(await lab.node.whoAnswers('10.96.1.1', 80), all);
    t.same(await lab.node.whoAnswers('10.96.1.2', 80, 6), ['pod1']);
  });

  await t.test('without endpoints connections are refused at once', async (t) => {
    await apply({
      ...web,
      pods: [],
      spec: { ...web.spec, type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }], externalIPs: ['198.51.100.7'] },
    });
    for (const agent of [lab.node, pod0!, lab.outside]) {
      t.same(await agent.request('10.96.1.1', 80), { error: 'ECONNREFUSED' }, `cluster IP from ${agent.name}`);
      t.same(await agent.request(nodeIp, 30080), { error: 'ECONNREFUSED' }, `node port from ${agent.name}`);
      t.same(await agent.request('198.51.100.7', 80), { error: 'ECONNREFUSED' }, `external IP from ${agent.name}`);
    }
  });

  await t.test('external and load balancer IPs are answered', async (t) => {
    await apply({
      ...web,
      loadBalancerIps: ['198.51.100.8'],
      spec: { ...web.spec, type: 'LoadBalancer', externalIPs: ['198.51.100.7'] },
    });
    for (const ip of ['198.51.100.7', '198.51.100.8']) {
      t.same(await lab.outside.whoAnswers(ip, 80), all);
      t.same(await lab.node.whoAnswers(ip, 80), all);
      t.same(await pod0!.whoAnswers(ip, 80), all);
    }
  });

  await t.test('loadBalancerSourceRanges keep others out', async (t) => {
    await apply({
      ...web,
      loadBalancerIps: ['198.51.100.8'],
      spec: { ...web.spec, type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.100/31', '192.0.2.100/32'] },
    });
    t.same(await lab.outside.whoAnswers('198.51.100.8', 80), all);
    await apply({
      ...web,
      loadBalancerIps: ['198.51.100.8'],
      spec: { ...web.spec, type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.101/32', '203.0.113.0/24'] },
    });
    t.same(await lab.outside.request('198.51.100.8', 80, { timeout: 300 }), { error: 'timeout' });
    t.ok((await lab.outside.request('198.51.100.8', 80, { localAddress: '192.0.2.101' })).name);
    t.ok((await lab.outside.request('10.96.1.1', 80)).name, 'only the load balancer is restricted');
  });

  await t.test('clients keep their endpoint under ClientIP affinity, for as long as it is there', async (t) => {
    const sticky: ServiceFixture = {
      ...web,
      spec: {
        ...web.spec,
        type: 'NodePort',
        ports: [{ port: 80, nodePort: 30080 }],
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      },
    };
    await apply(sticky);
    for (const agent of [lab.node, pod0!, lab.outside]) {
      await agent.request('10.96.1.1', 80);
      t.equal((await agent.whoAnswers('10.96.1.1', 80, 12)).length, 1, `${agent.name} by cluster IP`);
      await agent.request(nodeIp, 30080);
      t.equal((await agent.whoAnswers(nodeIp, 30080, 12)).length, 1, `${agent.name} by node port`);
    }
    const [chosen] = await pod0!.whoAnswers('10.96.1.1', 80, 2);
    const rest = [0, 1, 2].filter((index) => `pod${index}` !== chosen);
    await apply({ ...sticky, pods: rest });
    const [moved, ...more] = await pod0!.whoAnswers('10.96.1.1', 80, 12);
    t.ok(rest.includes(Number(moved?.slice(3))), 'moves to an endpoint that is there');
    t.same(more, [], 'and stays with that one');
    await apply(sticky);
    t.same(await pod0!.whoAnswers('10.96.1.1', 80, 12), [moved], 'a new endpoint takes nobody away');
  });

  await t.test('externalTrafficPolicy Local uses endpoints of this node and keeps the client address', async (t) => {
    const local: ServiceFixture = {
      ...web,
      remote: [1, 2],
      loadBalancerIps: ['198.51.100.8'],
      spec: {
        ...web.spec,
        type: 'LoadBalancer',
        ports: [{ port: 80, nodePort: 30080 }],
        externalTrafficPolicy: 'Local',
      },
    };
    await apply(local);
    for (const [ip, port] of [
      [nodeIp, 30080],
      ['198.51.100.8', 80],
    ] as const) {
      t.same(await lab.outside.whoAnswers(ip, port, 8), ['pod0']);
      t.equal((await lab.outside.request(ip, port)).client, outsideIp);
      if (!tellsClientsApart) continue;
      t.same(await pod0!.whoAnswers(ip, port), all, 'pods use all endpoints');
      t.same(await lab.node.whoAnswers(ip, port), all, 'so does the node');
    }
    await apply({ ...local, pods: [1, 2] });
    for (const [ip, port] of [
      [nodeIp, 30080],
      ['198.51.100.8', 80],
    ] as const) {
      t.same(await lab.outside.request(ip, port, { timeout: 300 }), { error: 'timeout' }, 'no local endpoint: dropped');
      if (tellsClientsApart) t.same(await pod0!.whoAnswers(ip, port), ['pod1', 'pod2']);
    }
  });

  await t.test('internalTrafficPolicy Local uses endpoints of this node only', async (t) => {
    const local: ServiceFixture = { ...web, remote: [0, 2], spec: { ...web.spec, internalTrafficPolicy: 'Local' } };
    await apply(local);
    t.same(await lab.node.whoAnswers('10.96.1.1', 80, 8), ['pod1']);
    t.same(await pod0!.whoAnswers('10.96.1.1', 80, 8), ['pod1']);
    await apply({ ...local, remote: [0, 1, 2] });
    t.same(await pod0!.request('10.96.1.1', 80, { timeout: 300 }), { error: 'timeout' });
  });

  await t.test('UDP: spread over endpoints, and a client does not stay with one that is gone', async (t) => {
    const dns: ServiceFixture = {
      name: 'dns',
      spec: {
        clusterIP: '10.96.1.3',
        ports: [{ name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053 }],
        type: 'NodePort',
      },
      pods: [0, 1, 2],
    };
    await apply(dns);
    const udp = { protocol: 'UDP' } as const;
    t.same(await lab.node.whoAnswers('10.96.1.3', 53, 24, udp), all);
    t.same(await lab.outside.whoAnswers(nodeIp, 30053, 24, udp), all);
    const sticky = { ...udp, localPort: 40_000 };
    const first = await pod0!.request('10.96.1.3', 53, sticky);
    t.equal((await pod0!.request('10.96.1.3', 53, sticky)).name, first.name, 'one socket, one connection');
    const rest = [0, 1, 2].filter((index) => `pod${index}` !== first.name);
    await apply({ ...dns, pods: rest });
    t.not((await pod0!.request('10.96.1.3', 53, sticky)).name, first.name);
    await apply({ ...dns, pods: [] });
    t.ok((await pod0!.request('10.96.1.3', 53, { ...sticky, timeout: 300 })).error);
    await apply(dns);
    t.ok((await pod0!.request('10.96.1.3', 53, sticky)).name, 'answered once there are endpoints again');
  });

  await t.test('no connection is lost while other Services come and go', async (t) => {
    await apply(web);
    let asking = true;
    const asked = (async () => {
      const replies: string[] = [];
      while (asking) replies.push(...(await pod1!.whoAnswers('10.96.1.1', 80, 4)));
      return new Set(replies);
    })();
    for (let round = 0; round < 30; round++) {
      const others = Array.from({ length: round % 7 }, (_, index): ServiceFixture => {
        return { name: `other${index}`, spec: { clusterIP: `10.96.2.${index + 1}` }, pods: [(round + index) % 3] };
      });
      await apply({ ...web, pods: round % 2 === 0 ? [0, 1, 2] : [0, 2] }, ...others);
    }
    asking = false;
    t.same(
      [...(await asked)].filter((name) => !all.includes(name)),
      [],
    );
  });

  await t.test(
    'a restarted proxy takes over without losing a connection, and removes what is no longer wanted',
    async (t) => {
      await apply(web, { name: 'old', spec: { clusterIP: '10.96.1.9' }, pods: [0] });
      let asking = true;
      const asked = (async () => {
        const replies: string[] = [];
        while (asking) replies.push(...(await pod1!.whoAnswers('10.96.1.1', 80, 4)));
        return new Set(replies);
      })();
      for (let round = 0; round < 3; round++) {
        backend = await create();
        t.ok((await apply(web)).full);
      }
      asking = false;
      t.same(
        [...(await asked)].filter((name) => !all.includes(name)),
        [],
      );
      t.ok((await lab.node.request('10.96.1.9', 80, { timeout: 300 })).error);
    },
  );

  await t.test('writing the same again changes nothing; a vanished table is noticed', async (t) => {
    await apply(web);
    t.match(await backend.sync(written), { added: 0, removed: 0, full: false });
    t.ok(await backend.intact());
  });

  await t.test('cleanup leaves nothing behind', async (t) => {
    await apply(web);
    await backend.cleanup();
    t.ok((await lab.node.request('10.96.1.1', 80, { timeout: 300 })).error);
    t.notOk(await backend.intact());
  });
}
