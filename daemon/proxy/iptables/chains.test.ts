import t from 'tap';
import type { ServicePortRule } from '../service-rules.ts';
import { iptablesRules } from './chains.ts';

const rule: ServicePortRule = {
  key: 'ns1/svc1:p80/TCP/ip',
  namespace: 'ns1',
  name: 'svc1',
  portName: 'p80',
  family: 'ip',
  protocol: 'TCP',
  clusterIp: '172.30.0.41',
  port: 80,
  externalIps: [],
  loadBalancerIps: [],
  nodePort: 0,
  sourceRanges: [],
  affinitySeconds: 0,
  internalLocal: false,
  externalLocal: false,
  clusterEndpoints: [{ ip: '10.180.0.1', port: 80, local: true }],
  localEndpoints: [],
  hasAnyEndpoints: true,
};
const options = { family: 'ip', clusterCidr: '10.0.0.0/8', nodeIps: [] } as const;

t.test("chains have kube-proxy's names", async (t) => {
  const { nat } = iptablesRules([{ ...rule, nodePort: 30080 }], options);
  t.same([...nat.keys()].filter((chain) => /-[A-Z2-7]{16}$/.test(chain)).sort(), [
    'KUBE-EXT-XPGD46QRK7WJZT7O',
    'KUBE-SEP-SXIVWICOYRO3J4NJ',
    'KUBE-SVC-XPGD46QRK7WJZT7O',
  ]);
});

t.test('a cluster IP', async (t) => {
  const { nat, filter } = iptablesRules([rule], options);
  t.same(nat.get('KUBE-SERVICES'), [
    '-m comment --comment "ns1/svc1:p80 cluster IP" -d 172.30.0.41 -p tcp -m tcp --dport 80 -j KUBE-SVC-XPGD46QRK7WJZT7O',
    '-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
  ]);
  t.same(nat.get('KUBE-SVC-XPGD46QRK7WJZT7O'), [
    '! -s 10.0.0.0/8 -d 172.30.0.41 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ',
    '-j KUBE-SEP-SXIVWICOYRO3J4NJ',
  ]);
  t.same(nat.get('KUBE-SEP-SXIVWICOYRO3J4NJ'), [
    '-s 10.180.0.1 -j KUBE-MARK-MASQ',
    '-p tcp -m tcp -j DNAT --to-destination 10.180.0.1:80',
  ]);
  t.same(filter.get('KUBE-SERVICES'), []);
});

t.test('without endpoints', async (t) => {
  const { filter } = iptablesRules(
    [{ ...rule, clusterEndpoints: [], hasAnyEndpoints: false, nodePort: 30080 }],
    options,
  );
  t.match(filter.get('KUBE-SERVICES')?.[0], /has no endpoints" -d 172\.30\.0\.41 -p tcp -m tcp --dport 80 -j REJECT$/);
  t.match(filter.get('KUBE-EXTERNAL-SERVICES')?.[0], /--dst-type LOCAL .*--dport 30080 -j REJECT$/);
});

t.test('equal chances for every endpoint', async (t) => {
  const clusterEndpoints = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((ip) => ({ ip, port: 80, local: false }));
  const { nat } = iptablesRules([{ ...rule, clusterEndpoints }], options);
  const chances = nat.get('KUBE-SVC-XPGD46QRK7WJZT7O')!.flatMap((line) => /--probability (\S+)/.exec(line)?.[1] ?? []);
  t.same(chances, ['0.3333333333', '0.5000000000']);
});
