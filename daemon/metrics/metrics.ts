import { Registry } from 'prom-client';

/** The process's metrics, served at `/metrics`. Names are those Kubernetes and etcd dashboards already use. */
export const metrics: Registry = new Registry();
