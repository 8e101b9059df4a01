import fc from 'fast-check';
import t from 'tap';
import type { Service } from '../apimachinery/types/core-v1.ts';
import type { EndpointSlice } from '../apimachinery/types/discovery-v1.ts';
import { ServiceTable } from './service-table.ts';

const topology = { nodeName: 'here', zone: '', nodeIps: [] };

const service = (name: string, port: number): Service => ({
  metadata: { name, namespace: 'default' },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.1', ports: [{ port }] },
});

const slice = (name: string, of: string, ip: string): EndpointSlice => ({
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  ports: [{ port: 8080 }],
  endpoints: [{ addresses: [ip] }],
});

t.test('rules that come out as they were stay the same objects', async (t) => {
  const table = new ServiceTable(topology);
  table.setService(service('a', 80));
  table.setService(service('b', 80));
  table.setSlice(slice('a-1', 'a', '10.0.0.1'));
  const before = table.rules().ports;
  table.setService(service('a', 80));
  table.setSlice(slice('b-1', 'b', '10.0.0.2'));
  const after = table.rules().ports;
  t.equal(after.get('default/a:/TCP/ip'), before.get('default/a:/TCP/ip'));
  t.not(after.get('default/b:/TCP/ip'), before.get('default/b:/TCP/ip'));
  t.equal(table.rules().ports, after, 'nothing changed, nothing computed');
});

t.test('endpoints may come before their Service, move to another, and go', async (t) => {
  const table = new ServiceTable(topology);
  const ips = (name: string) =>
    table
      .rules()
      .ports.get(`default/${name}:/TCP/ip`)
      ?.clusterEndpoints.map((endpoint) => endpoint.ip);
  const first = slice('s', 'a', '10.0.0.1');
  table.setSlice(first);
  table.setService(service('a', 80));
  table.setService(service('b', 80));
  t.same(ips('a'), ['10.0.0.1']);
  const moved = slice('s', 'b', '10.0.0.1');
  table.setSlice(moved, first);
  t.same(ips('a'), []);
  t.same(ips('b'), ['10.0.0.1']);
  table.deleteSlice(moved);
  t.same(ips('b'), []);
  table.deleteService(service('b', 80));
  t.equal(ips('b'), undefined);
});

t.test('change by change leads where starting anew does', async () => {
  const names = fc.constantFrom('a', 'b', 'c');
  const change = fc.oneof(
    fc.record({ kind: fc.constant('service' as const), name: names, port: fc.integer({ min: 80, max: 82 }) }),
    fc.record({ kind: fc.constant('no service' as const), name: names }),
    fc.record({ kind: fc.constant('slice' as const), slice: names, of: names, last: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant('no slice' as const), slice: names }),
    fc.record({ kind: fc.constant('rules' as const) }),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const table = new ServiceTable(topology);
      const services = new Map<string, Service>();
      const slices = new Map<string, EndpointSlice>();
      for (const step of changes) {
        if (step.kind === 'service') {
          services.set(step.name, service(step.name, step.port));
          table.setService(services.get(step.name)!);
        } else if (step.kind === 'no service') {
          if (services.delete(step.name)) table.deleteService(service(step.name, 0));
        } else if (step.kind === 'slice') {
          const next = slice(step.slice, step.of, `10.0.0.${step.last}`);
          table.setSlice(next, slices.get(step.slice));
          slices.set(step.slice, next);
        } else if (step.kind === 'no slice') {
          const old = slices.get(step.slice);
          if (slices.delete(step.slice) && old !== undefined) table.deleteSlice(old);
        } else {
          table.rules();
        }
      }
      const fresh = new ServiceTable(topology);
      for (const one of services.values()) fresh.setService(one);
      for (const one of slices.values()) fresh.setSlice(one);
      const sorted = (ports: ReadonlyMap<string, unknown>) =>
        JSON.stringify([...ports].sort(([a], [b]) => (a < b ? -1 : 1)));
      return sorted(table.rules().ports) === sorted(fresh.rules().ports);
    }),
    { numRuns: 500 },
  );
});
