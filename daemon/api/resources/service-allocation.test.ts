import fc from 'fast-check';
import t from 'tap';
import type { Service, ServiceSpec } from '../../apimachinery/types/core-v1.ts';
import { defaultService } from './defaults/service.ts';
import { formatIp, parseIp } from './ip-range.ts';
import { ServiceAllocator } from './service-allocation.ts';

const options = { serviceCidrs: ['10.96.0.0/12'], nodePortRange: { from: 30_000, to: 32_767 }, random: () => 0 };

function service(spec: ServiceSpec): Service {
  const object: Service = { metadata: { name: 's' }, spec };
  defaultService(object);
  return object;
}

function words(allocator: ServiceAllocator, object: Service): string[] {
  return allocator.allocate(object).errors.map(({ field, detail }) => `${field}: ${detail}`);
}

t.test('a cluster IP comes from the upper band, a chosen one from anywhere in the range', (t) => {
  const allocator = new ServiceAllocator(options);
  const dynamic = service({ ports: [{ port: 80 }] });
  t.same(allocator.allocate(dynamic).errors, []);
  t.match(dynamic.spec, {
    clusterIP: '10.96.1.1',
    clusterIPs: ['10.96.1.1'],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
  });
  const chosen = service({ clusterIP: '10.96.0.10' });
  t.same(allocator.allocate(chosen).errors, []);
  t.same(words(allocator, service({ clusterIP: '10.96.0.10' })), [
    'spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated',
  ]);
  t.same(words(allocator, service({ clusterIP: '10.0.0.1' })), [
    'spec.clusterIPs: Invalid value: ["10.0.0.1"]: failed to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/12',
  ]);
  t.end();
});

t.test('headless and external services hold no address', (t) => {
  const allocator = new ServiceAllocator(options);
  const headless = service({ clusterIP: 'None', selector: { a: 'b' } });
  allocator.allocate(headless);
  t.match(headless.spec, { clusterIP: 'None', clusterIPs: ['None'], ipFamilies: ['IPv4'] });
  const external = service({ type: 'ExternalName', externalName: 'example.com' });
  allocator.allocate(external);
  t.notOk('clusterIP' in external.spec);
  t.end();
});

t.test('node ports', (t) => {
  const allocator = new ServiceAllocator(options);
  const object = service({
    type: 'NodePort',
    ports: [
      { name: 'a', port: 53, protocol: 'TCP' },
      { name: 'b', port: 53, protocol: 'UDP' },
      { name: 'c', port: 80, nodePort: 30_001 },
    ],
  });
  t.same(allocator.allocate(object).errors, []);
  t.same(
    object.spec.ports?.map(({ nodePort }) => nodePort),
    [30_086, 30_086, 30_001],
  );
  const port = (nodePort: number) => service({ type: 'NodePort', ports: [{ port: 80, nodePort }] });
  t.same(words(allocator, port(30_001)), [
    'spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated',
  ]);
  t.same(words(allocator, port(80)), [
    'spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
  ]);
  const local = service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 1 }] });
  t.same(allocator.allocate(local).errors, []);
  t.match(local.spec, { healthCheckNodePort: 30_088, ports: [{ nodePort: 30_087 }] });
  t.end();
});

t.test('what a failed write took is free again; what is stored is not', (t) => {
  const allocator = new ServiceAllocator(options);
  const first = service({ clusterIP: '10.96.0.20' });
  const allocation = allocator.allocate(first);
  t.equal(words(allocator, service({ clusterIP: '10.96.0.20' })).length, 1);
  allocator.observe(first);
  allocation.release();
  allocation.release();
  t.equal(words(allocator, service({ clusterIP: '10.96.0.20' })).length, 1);
  t.same(allocator.allocate(structuredClone(first), first).errors, [], 'an update keeps its own');
  allocator.forget(first);
  t.same(words(allocator, service({ clusterIP: '10.96.0.20' })), []);
  t.end();
});

t.test('a full range says so', (t) => {
  const allocator = new ServiceAllocator({ ...options, serviceCidrs: ['10.0.0.0/30'] });
  for (let i = 0; i < 2; i++) t.same(words(allocator, service({})), []);
  t.match(words(allocator, service({}))[0], /range is full/);
  t.end();
});

t.test('dual stack', (t) => {
  const allocator = new ServiceAllocator({ ...options, serviceCidrs: ['10.96.0.0/12', 'fd00::/112'] });
  const dual = service({ ipFamilyPolicy: 'PreferDualStack' });
  t.same(allocator.allocate(dual).errors, []);
  t.match(dual.spec, { ipFamilies: ['IPv4', 'IPv6'], clusterIPs: ['10.96.1.1', 'fd00::101'] });
  t.end();
});

t.test('addresses survive being numbers', (t) => {
  const check = (text: string) => formatIp(parseIp(text)!) === text;
  fc.assert(fc.property(fc.ipV4(), check));
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const ip = parseIp(text)!;
      return parseIp(formatIp(ip))?.value === ip.value;
    }),
  );
  t.equal(formatIp(parseIp('0:0:0:0:0:0:0:1')!), '::1');
  t.equal(parseIp('10.0.0.256'), undefined);
  t.end();
});
