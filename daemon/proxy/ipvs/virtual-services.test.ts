import t from 'tap';
import type { ServicePortRule } from '../service-rules.ts';
import { ipvsRules } from './virtual-services.ts';

const here = { ip: '10.244.0.2', port: 8080, local: true };
const there = { ip: '10.244.1.2', port: 8080, local: false };
const rule: ServicePortRule = {
  key: 'default/web:/TCP/ip',
  namespace: 'default',
  name: 'web',
  portName: '',
  family: 'ip',
  protocol: 'TCP',
  clusterIp: '10.96.0.1',
  port: 80,
  externalIps: ['198.51.100.1'],
  loadBalancerIps: ['198.51.100.2'],
  nodePort: 30080,
  sourceRanges: ['192.0.2.0/24'],
  affinitySeconds: 7,
  internalLocal: false,
  externalLocal: true,
  clusterEndpoints: [here, there],
  localEndpoints: [here],
  hasAnyEndpoints: true,
};

t.test('every address and port is a virtual service with the endpoints of its policy', async (t) => {
  const { services, addresses, localEndpoints } = ipvsRules([rule], ['192.0.2.1', 'fd00::1']);
  t.same(
    [...services].map(([key, { persistence, endpoints }]) => [key, persistence, endpoints.length]),
    [
      ['6 10.96.0.1 80', 7, 2],
      ['6 198.51.100.1 80', 7, 1],
      ['6 198.51.100.2 80', 7, 1],
      ['6 192.0.2.1 30080', 7, 1],
    ],
  );
  t.same([...addresses], ['10.96.0.1', '198.51.100.1', '198.51.100.2']);
  t.same(localEndpoints, [{ ip: here.ip, family: 'ip' }]);
});

t.test('who is masqueraded, and who may come', async (t) => {
  const { frontends } = ipvsRules([rule], ['192.0.2.1']);
  t.same(
    frontends.map(({ address, masquerade, sources }) => [address, masquerade, sources]),
    [
      ['10.96.0.1', 'outside', undefined],
      ['198.51.100.1', 'never', undefined],
      ['198.51.100.2', 'never', ['192.0.2.0/24', '198.51.100.2']],
      ['192.0.2.1', 'never', undefined],
    ],
  );
  const cluster = ipvsRules([{ ...rule, externalLocal: false }], ['192.0.2.1']).frontends;
  t.same(
    cluster.map(({ masquerade }) => masquerade),
    ['outside', 'always', 'always', 'always'],
  );
});

t.test('an address of the host stays where it is; the first Service keeps an address and port', async (t) => {
  const second = { ...rule, key: 'default/other:/TCP/ip', clusterIp: '10.96.0.2', affinitySeconds: 0 };
  const { services, addresses } = ipvsRules([{ ...rule, externalIps: ['192.0.2.1'] }, second], ['192.0.2.1']);
  t.notOk(addresses.has('192.0.2.1'));
  t.equal(services.get('6 198.51.100.2 80')?.persistence, 7);
});
