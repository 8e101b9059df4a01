export const tableName = 'balsa-proxy';

/** Sets and maps of the table: what each holds is in `layout.ts`. */
export type SetName =
  | 'service-ips'
  | 'service-nodeports'
  | 'endpoints'
  | 'local-endpoints'
  | 'nodeport-endpoints'
  | 'nodeport-local-endpoints'
  | 'sticky-services'
  | 'sticky-nodeports'
  | 'affinity'
  | 'nodeport-affinity'
  | 'hairpin'
  | 'cluster-ips'
  | 'no-endpoint-services'
  | 'no-endpoint-nodeports'
  | 'firewalled'
  | 'firewall-allowed';
