import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { namespaces, networkpolicies, pods } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { SharedInformers } from '../../client/informer.ts';
import { createSharedInformers } from '../../client/shared-informers.ts';
import type { Logger } from '../../log/logger.ts';
import { ipFamilies } from '../../proxy/ip-families.ts';
import { loadNetlink, type Netlink } from '../../proxy/netlink.ts';
import { SyncLoop } from '../../proxy/sync-loop.ts';
import { policyRules } from './policy-rules.ts';
import { PolicyTable } from './policy-table.ts';

export interface NetworkPolicyOptions {
  /** May list and watch the pods and namespaces of the whole cluster: policies select peers among all of them. */
  readonly client: ApiClient;
  /** Shared with the other parts of this process; absent: informers of its own. */
  readonly informers?: SharedInformers;
  readonly nodeName: string;
  readonly netlink?: Netlink;
  readonly logger: Logger;
}

export interface NetworkPolicyEnforcer {
  /** Resolves once the policies there are hold. */
  readonly synced: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Makes NetworkPolicies hold for the pods of this node. Like Kubernetes says, traffic between a pod and its own node is always allowed, and
 * so are connections that were there before. What holds stays when it stops.
 */
export async function startNetworkPolicy(options: NetworkPolicyOptions): Promise<NetworkPolicyEnforcer> {
  const { nodeName, logger } = options;
  const netlink = options.netlink ?? loadNetlink();
  const informers = options.informers ?? createSharedInformers(options.client, logger);
  const podInformer = informers.informer(pods);
  const namespaceInformer = informers.informer(namespaces);
  const policyInformer = informers.informer(networkpolicies);
  const tables = ipFamilies().map((family) => new PolicyTable(netlink, family));
  let ready = false;
  let markSynced: () => void = () => {};
  const synced = new Promise<void>((resolve) => {
    markSynced = resolve;
  });

  const sync = async (): Promise<void> => {
    if (!ready) return;
    const rules = policyRules({
      nodeName,
      policies: policyInformer.lister.list(),
      pods: podInformer.lister.list(),
      namespaces: namespaceInformer.lister.list(),
    });
    for (const table of tables) {
      await table.intact();
      await table.sync(rules);
    }
    markSynced();
  };
  const loop = new SyncLoop({ sync, minInterval: 20, maxInterval: 30_000, logger });
  const request = () => loop.request();
  const always = { onAdd: request, onUpdate: request, onDelete: request };
  const unsubscribe = [
    policyInformer.addHandler(always),
    namespaceInformer.addHandler(always),
    podInformer.addHandler({
      ...always,
      onUpdate: (pod, old) => {
        if (matters(pod) !== matters(old)) request();
      },
    }),
  ];
  const started = informers.start().then(
    () => {
      ready = true;
      loop.request();
    },
    (error: unknown) => logger.error({ err: error }, 'network policies cannot be read'),
  );
  return {
    synced,
    async stop() {
      for (const stop of unsubscribe) stop();
      if (options.informers === undefined) await informers.stop();
      await started;
      await loop.stop();
    },
  };
}

export async function removeNetworkPolicy(netlink: Netlink): Promise<void> {
  for (const family of ipFamilies()) await new PolicyTable(netlink, family).cleanup();
}

/** What of a pod a policy can depend on. */
function matters(pod: Pod): string {
  return JSON.stringify([
    pod.metadata?.labels,
    pod.status?.podIPs,
    pod.status?.podIP,
    pod.status?.phase,
    pod.spec?.nodeName,
  ]);
}
