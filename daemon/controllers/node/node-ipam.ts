import { isApiError } from '../../apimachinery/api-error.ts';
import type { Node } from '../../apimachinery/types/core-v1.ts';
import { nodes } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { objectKey } from '../object-key.ts';
import { CidrSet } from './cidr-set.ts';

/**
 * Gives every node its share of each pod network, in `spec.podCIDR` and `spec.podCIDRs`. Which blocks are taken is read from
 * the nodes alone; one worker hands them out, so no two nodes can get the same.
 */
export function startNodeIpamController(context: ControllerContext): void {
  const { clusterPodCidrs, nodeCidrMaskSizeIpv4, nodeCidrMaskSizeIpv6 } = context.settings;
  const sets = clusterPodCidrs.map(
    (cidr) => new CidrSet(cidr, cidr.includes(':') ? nodeCidrMaskSizeIpv6 : nodeCidrMaskSizeIpv4),
  );
  if (sets.length === 0) return;
  let counted = false;

  const queue = context.reconciler('node_ipam_controller', 1, async (name) => {
    // A block handed out before all that are taken are known could be one of them.
    if (!counted) for (const node of informer.lister.list()) occupy(node);
    counted = true;
    const node = informer.lister.get(name);
    if (node === undefined || cidrsOf(node).length > 0) return;
    const cidrs: string[] = [];
    for (const set of sets) {
      const cidr = set.allocate();
      if (cidr === undefined) {
        for (const taken of cidrs) release(taken);
        context.event(nodes, node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`);
        throw new Error('CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range');
      }
      cidrs.push(cidr);
    }
    try {
      const patch = { spec: { podCIDR: cidrs[0], podCIDRs: cidrs } };
      await context.client.patch(nodes, objectKey(node), patch, { type: 'strategic' });
    } catch (error) {
      for (const cidr of cidrs) release(cidr);
      // Set by somebody else meanwhile (it can be set once only), or gone: its event brings it back if need be.
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Invalid')) throw error;
    }
  });

  const occupy = (node: Node): void => {
    for (const cidr of cidrsOf(node)) for (const set of sets) set.occupy(cidr);
  };
  const release = (cidr: string): void => {
    for (const set of sets) set.release(cidr);
  };
  const changed = (node: Node): void => {
    occupy(node);
    queue.add(node.metadata.name ?? '');
  };
  const informer = context.watch(nodes, {
    onAdd: changed,
    onUpdate: changed,
    onDelete: (node) => cidrsOf(node).forEach(release),
  });
}

function cidrsOf(node: Node): readonly string[] {
  const { podCIDR, podCIDRs } = node.spec ?? {};
  if (podCIDRs !== undefined && podCIDRs.length > 0) return podCIDRs;
  return podCIDR === undefined || podCIDR === '' ? [] : [podCIDR];
}
