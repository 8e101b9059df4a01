import t from 'tap';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { NetworkPolicy, NetworkPolicySpec } from '../../apimachinery/types/networking-v1.ts';
import { policyRules } from './policy-rules.ts';

const pod = (
  name: string,
  ip: string,
  more: Partial<Pod['spec']> = {},
  phase = 'Running',
  namespace = 'default',
): Pod => ({
  metadata: { name, namespace, labels: { app: name } },
  spec: { nodeName: 'here', containers: [{ name: 'main' }], ...more } as Pod['spec'] & object,
  status: { phase, podIP: ip, podIPs: [{ ip }] },
});
const policy = (name: string, spec: NetworkPolicySpec): NetworkPolicy => ({
  metadata: { name, namespace: 'default' },
  spec,
});
const namespaces = [{ metadata: { name: 'default', labels: { team: 'a' } }, spec: {} }];
const resolve = (pods: Pod[], ...policies: NetworkPolicy[]) =>
  policyRules({ nodeName: 'here', policies, pods, namespaces });
const web = { matchLabels: { app: 'web' } };

t.test('only pods of this node with addresses of their own are isolated', async (t) => {
  const pods = [
    pod('web', '10.0.0.1'),
    pod('web', '10.0.0.2', { nodeName: 'there' }),
    pod('web', '10.0.0.3', { hostNetwork: true }),
    pod('web', '10.0.0.4', {}, 'Succeeded'),
    pod('web', '10.0.0.5', {}, 'Running', 'other'),
  ];
  const { ingress, egress, isolated } = resolve(pods, policy('p', { podSelector: web }));
  t.same([...ingress.pods], [['10.0.0.1', 'default/p']]);
  t.equal(egress.pods.size, 0);
  t.same(isolated, ['10.0.0.1']);
});

t.test('directions: by policyTypes, else ingress always and egress when it has rules', async (t) => {
  const directions = (spec: NetworkPolicySpec) => {
    const { ingress, egress } = resolve([pod('web', '10.0.0.1')], policy('p', spec));
    return [ingress.pods.size, egress.pods.size];
  };
  t.same(directions({}), [1, 0]);
  t.same(directions({ egress: [{}] }), [1, 1]);
  t.same(directions({ policyTypes: ['Egress'] }), [0, 1]);
  t.same(directions({ policyTypes: ['Ingress', 'Egress'] }), [1, 1]);
});

t.test('pods under the same policies share rules; a rule keeps its key', async (t) => {
  const { ingress } = resolve(
    [pod('web', '10.0.0.1'), pod('web', '10.0.0.2'), pod('db', '10.0.0.3')],
    policy('b', { podSelector: {}, ingress: [{}] }),
    policy('a', { podSelector: web, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }, {}] }),
  );
  t.same(Object.fromEntries(ingress.pods), {
    '10.0.0.1': 'default/a default/b',
    '10.0.0.2': 'default/a default/b',
    '10.0.0.3': 'default/b',
  });
  t.same(
    ingress.groups.get('default/a default/b')?.map((rule) => rule.key),
    ['ingress/default/a/0', 'ingress/default/a/1', 'ingress/default/b/0'],
  );
});

t.test('an empty list of peers is everybody, a selector that matches none is nobody', async (t) => {
  const peers = (spec: NetworkPolicySpec) =>
    resolve([pod('web', '10.0.0.1')], policy('p', { podSelector: web, ...spec })).ingress.groups.get('default/p')?.[0]
      ?.peers;
  t.equal(peers({ ingress: [{}] }), undefined);
  t.equal(peers({ ingress: [{ from: [] }] }), undefined);
  t.same(peers({ ingress: [{ from: [{ podSelector: { matchLabels: { app: 'x' } } }] }] }), { ips: [], blocks: [] });
  t.same(peers({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'b' } } }] }] }), {
    ips: [],
    blocks: [],
  });
  t.same(peers({ ingress: [{ from: [{ namespaceSelector: {} }] }] }), { ips: ['10.0.0.1'], blocks: [] });
});

t.test('named ports belong to the destination: the selected pods, or the peers', async (t) => {
  const ports = (port: number) => ({ containers: [{ name: 'main', ports: [{ name: 'web', containerPort: port }] }] });
  const pods = [pod('web', '10.0.0.1', ports(80)), pod('db', '10.0.0.2', ports(90))];
  const spec = {
    podSelector: web,
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ ports: [{ port: 'web' }] }],
    egress: [{ ports: [{ port: 'web' }], to: [{ podSelector: { matchLabels: { app: 'db' } } }] }],
  };
  const { ingress, egress } = resolve(pods, policy('p', spec));
  t.same(ingress.groups.get('default/p')?.[0]?.ports?.named, [{ ip: '10.0.0.1', protocol: 'TCP', port: 80 }]);
  t.same(egress.groups.get('default/p')?.[0]?.ports?.named, [{ ip: '10.0.0.2', protocol: 'TCP', port: 90 }]);
});
