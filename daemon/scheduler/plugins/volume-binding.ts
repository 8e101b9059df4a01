import { labelSelectorMatcher } from '../../apimachinery/label-selector.ts';
import { parseQuantity } from '../../apimachinery/quantity.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, persistentvolumes } from '../../apimachinery/types/resources.ts';
import type { StorageClass } from '../../apimachinery/types/storage-v1.ts';
import { systemClock } from '../../client/clock.ts';
import type { NodeInfo } from '../node-info.ts';
import { nodeMatchesTerm } from '../node-selector.ts';
import {
  type Cycle,
  type NodeFilter,
  type Rejection,
  type Reservation,
  rejection,
  type SchedulerPlugin,
} from '../plugin.ts';

const nodeConflict = rejection("node(s) didn't match PersistentVolume's node affinity", true);
const bindConflict = rejection("node(s) didn't find available persistent volumes to bind", true);
const noVolume = rejection('node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)', true);
const unboundImmediate = rejection('pod has unbound immediate PersistentVolumeClaims', true);

const bindCompleted = 'pv.kubernetes.io/bind-completed';
const boundByController = 'pv.kubernetes.io/bound-by-controller';
const selectedNode = 'volume.kubernetes.io/selected-node';
const noProvisioner = 'kubernetes.io/no-provisioner';
const bindTimeoutMs = 600_000;

interface Claims {
  readonly bound: readonly PersistentVolumeClaim[];
  /** To be bound to, or provisioned for, the node that is chosen. */
  readonly delayed: readonly PersistentVolumeClaim[];
}

function isBound(claim: PersistentVolumeClaim): boolean {
  return Boolean(claim.spec?.volumeName) && claim.metadata.annotations?.[bindCompleted] !== undefined;
}

function storageClassOf({ listers }: Cycle, claim: PersistentVolumeClaim): StorageClass | undefined {
  const name = claim.spec?.storageClassName;
  return name ? listers.storageClasses.lister.get(name) : undefined;
}

/** The pod's claims by what is to be done with them, or why there is no use in looking at nodes yet. */
function claimsOf(cycle: Cycle): Claims | Rejection {
  const { pod, listers } = cycle;
  const bound: PersistentVolumeClaim[] = [];
  const delayed: PersistentVolumeClaim[] = [];
  for (const name of pod.claims) {
    const claim = listers.claims.lister.get(`${pod.namespace}/${name}`);
    const quoted = JSON.stringify(name);
    if (claim === undefined) {
      const ephemeral = pod.pod.spec.volumes?.some(
        (volume) => volume.ephemeral !== undefined && `${pod.pod.metadata.name}-${volume.name}` === name,
      );
      return rejection(
        ephemeral === true
          ? `waiting for ephemeral volume controller to create the persistentvolumeclaim ${quoted}`
          : `persistentvolumeclaim ${quoted} not found`,
        true,
      );
    }
    if (claim.status?.phase === 'Lost') {
      return rejection(
        `persistentvolumeclaim ${quoted} bound to non-existent persistentvolume ${JSON.stringify(claim.spec?.volumeName ?? '')}`,
        true,
      );
    }
    if (claim.metadata.deletionTimestamp !== undefined) {
      return rejection(`persistentvolumeclaim ${quoted} is being deleted`, true);
    }
    if (isBound(claim)) {
      bound.push(claim);
    } else if (!claim.spec?.volumeName && storageClassOf(cycle, claim)?.volumeBindingMode === 'WaitForFirstConsumer') {
      delayed.push(claim);
    } else {
      return unboundImmediate;
    }
  }
  return { bound, delayed };
}

function volumeFits(volume: PersistentVolume, node: Node): boolean {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => nodeMatchesTerm(node, term));
}

/** The smallest free volume on the node that the claim could have. */
function matchingVolume(
  { cache, listers }: Cycle,
  claim: PersistentVolumeClaim,
  node: Node,
  taken: ReadonlySet<string>,
): PersistentVolume | undefined {
  const spec = claim.spec ?? {};
  const wanted = parseQuantity(spec.resources?.requests?.['storage'] ?? '0');
  const selector = spec.selector === undefined ? undefined : labelSelectorMatcher(spec.selector);
  let best: PersistentVolume | undefined;
  for (const volume of listers.volumes.lister.list()) {
    const name = volume.metadata.name ?? '';
    const reservedFor = cache.reservedVolumes.get(name);
    const free =
      volume.status?.phase === 'Available' &&
      volume.spec?.claimRef === undefined &&
      volume.metadata.deletionTimestamp === undefined &&
      !taken.has(name) &&
      (reservedFor === undefined || reservedFor === claim.metadata.uid);
    const size = parseQuantity(volume.spec?.capacity?.['storage'] ?? '0');
    if (
      free &&
      (volume.spec?.storageClassName ?? '') === (spec.storageClassName ?? '') &&
      (volume.spec?.volumeMode ?? 'Filesystem') === (spec.volumeMode ?? 'Filesystem') &&
      (spec.accessModes ?? []).every((mode) => volume.spec?.accessModes?.includes(mode)) &&
      size.compare(wanted) >= 0 &&
      (selector?.matches(volume.metadata.labels) ?? true) &&
      volumeFits(volume, node) &&
      (best === undefined || size.compare(parseQuantity(best.spec?.capacity?.['storage'] ?? '0')) < 0)
    ) {
      best = volume;
    }
  }
  return best;
}

function canProvision(storageClass: StorageClass | undefined, node: NodeInfo): boolean {
  if (storageClass === undefined || storageClass.provisioner === noProvisioner) {
    return false;
  }
  const terms = storageClass.allowedTopologies ?? [];
  return (
    terms.length === 0 ||
    terms.some((term) =>
      (term.matchLabelExpressions ?? []).every(({ key, values }) => values.includes(node.label(key) ?? '')),
    )
  );
}

interface Plan {
  readonly bind: readonly { readonly claim: PersistentVolumeClaim; readonly volume: PersistentVolume }[];
  readonly provision: readonly PersistentVolumeClaim[];
}

/** How each delayed claim would get a volume on the node; undefined when one could not. */
function planFor(cycle: Cycle, delayed: readonly PersistentVolumeClaim[], node: NodeInfo): Plan | undefined {
  const bind: { claim: PersistentVolumeClaim; volume: PersistentVolume }[] = [];
  const provision: PersistentVolumeClaim[] = [];
  const taken = new Set<string>();
  for (const claim of delayed) {
    const chosen = claim.metadata.annotations?.[selectedNode];
    if (chosen !== undefined && chosen !== node.name) {
      return undefined;
    }
    const volume =
      chosen === undefined && node.node !== undefined ? matchingVolume(cycle, claim, node.node, taken) : undefined;
    if (volume !== undefined) {
      taken.add(volume.metadata.name ?? '');
      bind.push({ claim, volume });
    } else if (canProvision(storageClassOf(cycle, claim), node)) {
      provision.push(claim);
    } else {
      return undefined;
    }
  }
  return { bind, provision };
}

function volumeFilter(cycle: Cycle): NodeFilter | Rejection | undefined {
  if (cycle.pod.claims.length === 0) {
    return undefined;
  }
  const claims = claimsOf(cycle);
  if ('reasons' in claims) {
    return claims;
  }
  return {
    filter(node) {
      for (const claim of claims.bound) {
        const volume = cycle.listers.volumes.lister.get(claim.spec?.volumeName ?? '');
        if (volume === undefined) {
          return noVolume;
        }
        if (node.node !== undefined && !volumeFits(volume, node.node)) {
          return nodeConflict;
        }
      }
      return claims.delayed.length === 0 || planFor(cycle, claims.delayed, node) !== undefined
        ? undefined
        : bindConflict;
    },
  };
}

function reserveVolumes(cycle: Cycle, node: NodeInfo): Reservation | undefined {
  if (cycle.pod.claims.length === 0) {
    return undefined;
  }
  const claims = claimsOf(cycle);
  if ('reasons' in claims || claims.delayed.length === 0) {
    return undefined;
  }
  const plan = planFor(cycle, claims.delayed, node);
  if (plan === undefined) {
    return undefined;
  }
  const { reservedVolumes } = cycle.cache;
  for (const { claim, volume } of plan.bind) {
    reservedVolumes.set(volume.metadata.name ?? '', claim.metadata.uid ?? '');
  }
  return {
    async beforeBind() {
      await Promise.all([
        ...plan.bind.map(({ claim, volume }) => claimVolume(cycle, claim, volume)),
        ...plan.provision.map((claim) => selectNode(cycle, claim, node.name)),
      ]);
      await untilBound(cycle, claims.delayed);
    },
    release() {
      for (const { volume } of plan.bind) {
        reservedVolumes.delete(volume.metadata.name ?? '');
      }
    },
  };
}

async function claimVolume({ client }: Cycle, claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
  const { namespace, name, uid, resourceVersion } = claim.metadata;
  await client.patch(
    persistentvolumes,
    { name: volume.metadata.name ?? '' },
    {
      metadata: { annotations: { [boundByController]: 'yes' }, resourceVersion: volume.metadata.resourceVersion },
      spec: { claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion } },
    },
    { type: 'merge' },
  );
}

async function selectNode({ client }: Cycle, claim: PersistentVolumeClaim, nodeName: string): Promise<void> {
  const { namespace = '', name = '' } = claim.metadata;
  await client.patch(
    persistentvolumeclaims,
    { namespace, name },
    { metadata: { annotations: { [selectedNode]: nodeName } } },
    { type: 'merge' },
  );
}

/** Resolves once the volume controller has bound all the claims; fails when one goes away or it takes too long. */
async function untilBound({ listers }: Cycle, claims: readonly PersistentVolumeClaim[]): Promise<void> {
  const waiting = new Map(claims.map((claim) => [claim.metadata.uid, claim.metadata.name]));
  await new Promise<void>((resolve, reject) => {
    const cleanUp: (() => void)[] = [];
    const finish = (error?: Error): void => {
      for (const undo of cleanUp) {
        undo();
      }
      if (error === undefined) {
        resolve();
      } else {
        reject(error);
      }
    };
    const look = (claim: PersistentVolumeClaim): void => {
      if (isBound(claim) && waiting.delete(claim.metadata.uid) && waiting.size === 0) {
        finish();
      }
    };
    cleanUp.push(
      systemClock.after(bindTimeoutMs, () => finish(new Error('timed out waiting for the condition'))),
      listers.claims.addHandler({
        onAdd: look,
        onUpdate: look,
        onDelete(claim) {
          if (waiting.has(claim.metadata.uid)) {
            finish(new Error(`persistentvolumeclaim ${JSON.stringify(claim.metadata.name)} not found`));
          }
        },
      }),
    );
    // A handler that found all bound at once finished before it could be removed.
    if (waiting.size === 0) {
      finish();
    }
  });
}

/** Bound claims tie the pod to where their volumes are; claims that wait for a consumer are bound for the node chosen. */
export const volumeBinding: SchedulerPlugin = {
  name: 'VolumeBinding',
  weight: 0,
  interests: [{ on: ['VolumeChange', 'NodeAdd', 'NodeUpdate'] }],
  filterFor: volumeFilter,
  reserve: reserveVolumes,
};
