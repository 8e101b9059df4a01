import { isApiError } from '../apimachinery/api-error.ts';
import type { Service } from '../apimachinery/types/core-v1.ts';
import { services } from '../apimachinery/types/resources.ts';
import type { ApiClient } from '../client/api-client.ts';

const namespace = 'kube-system';
const name = 'kube-dns';

/**
 * The Service that users expect. Every node answers its address itself, so the service proxies are told to leave it alone.
 */
function dnsService(clusterIp: string): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace,
      labels: {
        'k8s-app': 'kube-dns',
        'kubernetes.io/cluster-service': 'true',
        'kubernetes.io/name': 'CoreDNS',
        'service.kubernetes.io/service-proxy-name': 'balsa-dns',
      },
      annotations: { 'prometheus.io/port': '9153', 'prometheus.io/scrape': 'true' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: clusterIp,
      clusterIPs: [clusterIp],
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
        { name: 'metrics', port: 9153, protocol: 'TCP', targetPort: 9153 },
      ],
    },
  };
}

/** Creates the Service unless there is one. One that another DNS brought along stays as it is. */
export async function ensureDnsService(client: ApiClient, clusterIp: string): Promise<void> {
  try {
    await client.get(services, { namespace, name });
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error;
    try {
      await client.create(services, dnsService(clusterIp));
    } catch (createError) {
      // Another node was quicker.
      if (!isApiError(createError, 'AlreadyExists')) throw createError;
    }
  }
}
