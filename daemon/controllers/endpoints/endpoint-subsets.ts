import { isIPv6 } from 'node:net';
import { isPodReady } from '../../apimachinery/conditions.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import type { EndpointAddress, EndpointPort, EndpointSubset, Pod, Service } from '../../apimachinery/types/core-v1.ts';
import {
  addressTypesOf,
  belongsInEndpoints,
  endpointHostname,
  findTargetPort,
  podIpsOf,
} from '../endpointslice/pod-endpoint.ts';

/** The most addresses an Endpoints object holds; the rest is cut off and the object says so. */
export const maxEndpoints = 1000;

export interface Subsets {
  readonly subsets: EndpointSubset[];
  readonly truncated: boolean;
}

interface Member {
  readonly address: EndpointAddress;
  readonly ready: boolean;
}

/** Subsets of a Service's pods: addresses that have the same ports and readiness of each port are written together. */
export function endpointSubsets(service: Service, pods: readonly Pod[]): Subsets {
  const tolerateUnready = service.spec?.publishNotReadyAddresses === true;
  const byPort = new Map<string, { port: EndpointPort | undefined; members: Map<string, Member> }>();
  const add = (port: EndpointPort | undefined, member: Member): void => {
    const key = stableStringify(port ?? null);
    const entry = byPort.get(key) ?? { port, members: new Map<string, Member>() };
    byPort.set(key, entry);
    entry.members.set(stableStringify([member.address.ip, member.address.targetRef?.uid]), member);
  };
  for (const pod of pods) {
    const address = belongsInEndpoints(pod, tolerateUnready) ? addressOf(pod, service) : undefined;
    if (address === undefined) continue;
    const member = { address, ready: tolerateUnready || isPodReady(pod) };
    const servicePorts = service.spec?.ports ?? [];
    if (servicePorts.length === 0) add(undefined, member);
    for (const { name = '', protocol = 'TCP', appProtocol, ...port } of servicePorts) {
      const target = findTargetPort(pod, { name, protocol, ...port });
      if (target === undefined) continue;
      add(
        {
          ...(name === '' ? {} : { name }),
          port: target,
          protocol,
          ...(appProtocol === undefined ? {} : { appProtocol }),
        },
        member,
      );
    }
  }
  return truncate(groupPorts([...byPort.values()]));
}

function addressOf(pod: Pod, service: Service): EndpointAddress | undefined {
  const wantIPv6 = addressTypesOf(service)[0] === 'IPv6';
  const ip = podIpsOf(pod).find((candidate) => isIPv6(candidate) === wantIPv6);
  if (ip === undefined) return undefined;
  const { namespace, name, uid } = pod.metadata;
  const hostname = endpointHostname(pod, service);
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(pod.spec?.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    targetRef: {
      kind: 'Pod',
      ...(namespace === undefined ? {} : { namespace }),
      ...(name === undefined ? {} : { name }),
      ...(uid === undefined ? {} : { uid }),
    },
  };
}

/** Ports with the same members share a subset. */
function groupPorts(
  entries: readonly { port: EndpointPort | undefined; members: ReadonlyMap<string, Member> }[],
): EndpointSubset[] {
  const groups = new Map<string, { ports: EndpointPort[]; members: readonly Member[] }>();
  for (const { port, members } of entries) {
    const key = stableStringify([...members].map(([name, { ready }]) => `${name} ${ready}`).sort());
    const group = groups.get(key) ?? { ports: [], members: [...members.values()] };
    groups.set(key, group);
    if (port !== undefined) group.ports.push(port);
  }
  return [...groups.values()].map(({ ports, members }) => {
    const addresses = members.filter(({ ready }) => ready).map(({ address }) => address);
    const notReady = members.filter(({ ready }) => !ready).map(({ address }) => address);
    return {
      ...(addresses.length === 0 ? {} : { addresses: addresses.sort(compareAddresses) }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady.sort(compareAddresses) }),
      ...(ports.length === 0 ? {} : { ports: ports.sort(comparePorts) }),
    };
  });
}

function compareAddresses(a: EndpointAddress, b: EndpointAddress): number {
  return compareText(a.ip, b.ip) || compareText(a.targetRef?.uid ?? '', b.targetRef?.uid ?? '');
}

function comparePorts(a: EndpointPort, b: EndpointPort): number {
  return compareText(a.name ?? '', b.name ?? '') || a.port - b.port;
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Ready addresses stay before others. */
function truncate(subsets: EndpointSubset[]): Subsets {
  const total = subsets.reduce(
    (sum, { addresses = [], notReadyAddresses = [] }) => sum + addresses.length + notReadyAddresses.length,
    0,
  );
  if (total <= maxEndpoints) return { subsets, truncated: false };
  let room = maxEndpoints;
  const readyKept = subsets.map(({ addresses = [] }) => {
    const kept = addresses.slice(0, room);
    room -= kept.length;
    return kept;
  });
  const cut = subsets.map((subset, i) => {
    const addresses = readyKept[i] ?? [];
    const notReady = (subset.notReadyAddresses ?? []).slice(0, room);
    room -= notReady.length;
    return {
      ...(addresses.length === 0 ? {} : { addresses }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
      ...(subset.ports === undefined ? {} : { ports: subset.ports }),
    };
  });
  return {
    subsets: cut.filter((subset) => subset.addresses !== undefined || subset.notReadyAddresses !== undefined),
    truncated: true,
  };
}
