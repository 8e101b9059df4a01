import type { EmbeddedStore } from '../embedded-store.ts';
import type { GrpcMethod, StreamMethod, UnaryMethod } from '../grpc/server.ts';
import { authMethods } from './auth.ts';
import { AuthGate } from './auth-gate.ts';
import { clusterMethods } from './cluster.ts';
import { kvMethods } from './kv.ts';
import { leaseMethods } from './lease.ts';
import { maintenanceMethods } from './maintenance.ts';
import { watchMethods } from './watch.ts';

/** The methods of one service by name. */
export interface ServiceMethods {
  readonly unary?: Readonly<Record<string, UnaryMethod>>;
  readonly stream?: Readonly<Record<string, StreamMethod>>;
}

/** etcd's v3 API by path, in front of the embedded store. */
export function etcdMethods(store: EmbeddedStore): Map<string, GrpcMethod> {
  const gate = new AuthGate(store);
  const services: Record<string, ServiceMethods> = {
    KV: kvMethods(store, gate),
    Watch: watchMethods(store, gate),
    Lease: leaseMethods(store, gate),
    Cluster: clusterMethods(store, gate),
    Maintenance: maintenanceMethods(store, gate),
    Auth: authMethods(store, gate),
  };
  const methods = new Map<string, GrpcMethod>();
  for (const [service, { unary = {}, stream = {} }] of Object.entries(services)) {
    for (const [name, method] of Object.entries(unary))
      methods.set(`/etcdserverpb.${service}/${name}`, { unary: method });
    for (const [name, method] of Object.entries(stream)) {
      methods.set(`/etcdserverpb.${service}/${name}`, { stream: method });
    }
  }
  return methods;
}
