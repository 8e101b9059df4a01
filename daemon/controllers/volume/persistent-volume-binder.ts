import { isApiError } from '../../apimachinery/api-error.ts';
import { stableStringify } from '../../apimachinery/hash.ts';
import { keyOf } from '../../apimachinery/object-key.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumeclaims, persistentvolumes, storageclasses } from '../../apimachinery/types/resources.ts';
import type { StorageClass } from '../../apimachinery/types/storage-v1.ts';
import type { Informer } from '../../client/informer.ts';
import type { WorkQueue } from '../../client/work-queue.ts';
import type { ControllerContext } from '../controller-context.ts';
import { joinKey, objectKey } from '../object-key.ts';
import { isTerminating } from '../workload/pod-state.ts';
import { sameStatus } from '../workload/status-equal.ts';
import { localPathProvisioner, localPathVolume } from './local-path.ts';
import {
  bindCompleted,
  boundByController,
  classOf,
  findVolume,
  isReservedFor,
  provisionedBy,
  selectedNode,
  storageProvisioner,
} from './volume-match.ts';

const noProvisioner = 'kubernetes.io/no-provisioner';

/** Binds claims and volumes to each other, one to one, and has volumes made for claims whose class says how. */
export function startPersistentVolumeBinder(context: ControllerContext): void {
  new PersistentVolumeBinder(context);
}

class PersistentVolumeBinder {
  readonly #context: ControllerContext;
  readonly #claims: Informer<PersistentVolumeClaim>;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #classes: Informer<StorageClass>;
  readonly #claimQueue: WorkQueue;
  readonly #volumeQueue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#claimQueue = context.reconciler('claims', 1, (key) => this.#syncClaim(key));
    this.#volumeQueue = context.reconciler('volumes', 1, (key) => this.#syncVolume(key));
    const claimChanged = (claim: PersistentVolumeClaim): void => {
      this.#claimQueue.add(keyOf(claim));
      if ((claim.spec.volumeName ?? '') !== '') this.#volumeQueue.add(claim.spec.volumeName ?? '');
    };
    this.#claims = context.watch(persistentvolumeclaims, {
      onAdd: claimChanged,
      onUpdate: claimChanged,
      onDelete: claimChanged,
    });
    const volumeChanged = (volume: PersistentVolume): void => {
      this.#volumeQueue.add(keyOf(volume));
      const reference = volume.spec?.claimRef;
      if (reference !== undefined) this.#claimQueue.add(joinKey(reference.namespace, reference.name ?? ''));
      else this.#queueUnboundClaims(classOf(volume));
    };
    this.#volumes = context.watch(persistentvolumes, {
      onAdd: volumeChanged,
      onUpdate: volumeChanged,
      onDelete: volumeChanged,
    });
    this.#classes = context.watch(storageclasses, {
      onAdd: (storageClass) => this.#queueUnboundClaims(storageClass.metadata.name ?? ''),
      onUpdate: (storageClass) => this.#queueUnboundClaims(storageClass.metadata.name ?? ''),
    });
  }

  #queueUnboundClaims(className: string): void {
    for (const claim of this.#claims.lister.list()) {
      if ((claim.spec.volumeName ?? '') === '' && classOf(claim) === className) this.#claimQueue.add(keyOf(claim));
    }
  }

  #claimEvent(claim: PersistentVolumeClaim, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.event(persistentvolumeclaims, claim, type, reason, message);
  }

  async #syncClaim(key: string): Promise<void> {
    const claim = this.#claims.lister.get(key);
    if (claim === undefined) return;
    if (claim.metadata.annotations?.[bindCompleted] !== undefined) await this.#syncBoundClaim(claim);
    else if ((claim.spec.volumeName ?? '') === '') await this.#findOrMake(claim);
    else await this.#bindToNamed(claim);
  }

  async #findOrMake(claim: PersistentVolumeClaim): Promise<void> {
    const storageClass = this.#classes.lister.get(classOf(claim));
    const waits =
      storageClass?.volumeBindingMode === 'WaitForFirstConsumer' &&
      claim.metadata.annotations?.[selectedNode] === undefined;
    const volume = findVolume(claim, this.#volumes.lister.list(), waits);
    if (volume !== undefined) return this.#bind(volume, claim);
    if (waits) {
      const message = 'waiting for first consumer to be created before binding';
      this.#claimEvent(claim, 'Normal', 'WaitForFirstConsumer', message);
    } else if (classOf(claim) === '') {
      const message = 'no persistent volumes available for this claim and no storage class is set';
      this.#claimEvent(claim, 'Normal', 'FailedBinding', message);
    } else {
      await this.#provision(claim, storageClass);
    }
    await this.#claimPhase(claim, 'Pending');
  }

  async #provision(claim: PersistentVolumeClaim, storageClass: StorageClass | undefined): Promise<void> {
    if (storageClass === undefined) {
      const message = `storageclass.storage.k8s.io "${classOf(claim)}" not found`;
      this.#claimEvent(claim, 'Warning', 'ProvisioningFailed', message);
      return;
    }
    const { provisioner } = storageClass;
    if (provisioner === noProvisioner) return;
    if (provisioner === localPathProvisioner) return this.#provisionLocalPath(claim, storageClass);
    if (claim.metadata.annotations?.[storageProvisioner] !== provisioner) {
      const annotations = {
        ...claim.metadata.annotations,
        'volume.beta.kubernetes.io/storage-provisioner': provisioner,
        [storageProvisioner]: provisioner,
      };
      await this.#context.client.update(persistentvolumeclaims, {
        ...claim,
        metadata: { ...claim.metadata, annotations },
      });
    }
    const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
    this.#claimEvent(claim, 'Normal', 'ExternalProvisioning', message);
  }

  async #provisionLocalPath(claim: PersistentVolumeClaim, storageClass: StorageClass): Promise<void> {
    const volume = localPathVolume(claim, storageClass, this.#context.settings.localPathDirectory);
    if (volume === undefined) {
      const message = 'configuration error, no node was specified: the class must wait for the first consumer';
      this.#claimEvent(claim, 'Warning', 'ProvisioningFailed', message);
      return;
    }
    try {
      await this.#context.client.create(persistentvolumes, volume);
      const message = `Successfully provisioned volume ${volume.metadata.name}`;
      this.#claimEvent(claim, 'Normal', 'ProvisioningSucceeded', message);
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error;
    }
  }

  /** The user, or a bind cut short, names the volume. */
  async #bindToNamed(claim: PersistentVolumeClaim): Promise<void> {
    const volume = this.#volumes.lister.get(claim.spec.volumeName ?? '');
    const reference = volume?.spec?.claimRef;
    if (volume !== undefined && (reference === undefined || isReservedFor(reference, claim))) {
      await this.#bind(volume, claim);
      return;
    }
    if (volume !== undefined && claim.metadata.annotations?.[boundByController] === undefined) {
      const taken = `volume "${volume.metadata.name}" already bound to a different claim.`;
      this.#claimEvent(claim, 'Warning', 'FailedBinding', taken);
    }
    await this.#claimPhase(claim, 'Pending');
  }

  async #syncBoundClaim(claim: PersistentVolumeClaim): Promise<void> {
    const name = claim.spec.volumeName ?? '';
    const volume = this.#volumes.lister.get(name);
    if (name === '' || volume === undefined) {
      const what = name === '' ? 'reference to PersistentVolume' : 'its PersistentVolume';
      await this.#lose(claim, 'ClaimLost', `Bound claim has lost ${what}. Data on the volume is lost!`);
      return;
    }
    const reference = volume.spec?.claimRef;
    if (reference === undefined || isReservedFor(reference, claim)) {
      await this.#bind(volume, claim);
      return;
    }
    const message = 'Two claims are bound to the same volume, this one is bound incorrectly';
    await this.#lose(claim, 'ClaimMisbound', message);
  }

  async #lose(claim: PersistentVolumeClaim, reason: string, message: string): Promise<void> {
    if (claim.status?.phase !== 'Lost') this.#claimEvent(claim, 'Warning', reason, message);
    await this.#claimPhase(claim, 'Lost');
  }

  /** Four writes, each of which may be the last one made: the volume's reference first, so no other claim can have it. */
  async #bind(found: PersistentVolume, unbound: PersistentVolumeClaim): Promise<void> {
    const { client } = this.#context;
    const { namespace = '', name = '', uid = '', resourceVersion = '' } = unbound.metadata;
    let volume = found;
    if (volume.spec?.claimRef?.uid !== uid) {
      const annotations =
        volume.spec?.claimRef === undefined
          ? { ...volume.metadata.annotations, [boundByController]: 'yes' }
          : volume.metadata.annotations;
      const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion };
      volume = await client.update(persistentvolumes, {
        ...volume,
        metadata: { ...volume.metadata, ...(annotations === undefined ? {} : { annotations }) },
        spec: { ...volume.spec, claimRef },
      });
    }
    volume = await this.#volumePhase(volume, 'Bound');

    const volumeName = volume.metadata.name ?? '';
    const annotations = {
      ...unbound.metadata.annotations,
      [bindCompleted]: 'yes',
      ...((unbound.spec.volumeName ?? '') === '' ? { [boundByController]: 'yes' } : {}),
    };
    let claim = unbound;
    if (claim.spec.volumeName !== volumeName || claim.metadata.annotations?.[bindCompleted] === undefined) {
      claim = await client.update(persistentvolumeclaims, {
        ...claim,
        metadata: { ...claim.metadata, annotations },
        spec: { ...claim.spec, volumeName },
      });
    }
    const status = {
      ...claim.status,
      phase: 'Bound',
      accessModes: volume.spec?.accessModes ?? [],
      // A bound claim keeps the size it has: growing it is another matter.
      capacity: claim.status?.capacity ?? volume.spec?.capacity ?? {},
    };
    if (sameStatus(status, claim.status)) return;
    await client.update(persistentvolumeclaims, { ...claim, status }, { subresource: 'status' });
  }

  async #syncVolume(key: string): Promise<void> {
    const volume = this.#volumes.lister.get(key);
    if (volume === undefined) return;
    const reference = volume.spec?.claimRef;
    if (reference === undefined || (reference.uid ?? '') === '') {
      await this.#volumePhase(volume, 'Available');
      return;
    }
    const claim = await this.#claimOf(joinKey(reference.namespace, reference.name ?? ''));
    if (claim === undefined || claim.metadata.uid !== reference.uid) return this.#release(volume);
    if (claim.spec.volumeName === volume.metadata.name) {
      await this.#volumePhase(volume, 'Bound');
    } else if ((claim.spec.volumeName ?? '') === '') {
      this.#claimQueue.add(keyOf(claim));
    } else if (volume.metadata.annotations?.[provisionedBy] !== undefined && reclaimPolicy(volume) === 'Delete') {
      // Made for a claim that has found another one meanwhile.
      await this.#release(volume);
    } else {
      await this.#unbind(volume);
    }
  }

  /** Asked for once more before a volume is given up: the caches of the two kinds keep no common time. */
  async #claimOf(key: string): Promise<PersistentVolumeClaim | undefined> {
    const cached = this.#claims.lister.get(key);
    if (cached !== undefined) return cached;
    const slash = key.indexOf('/');
    try {
      return await this.#context.client.get(persistentvolumeclaims, {
        namespace: key.slice(0, slash),
        name: key.slice(slash + 1),
      });
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async #release(volume: PersistentVolume): Promise<void> {
    const released = volume.status?.phase === 'Failed' ? volume : await this.#volumePhase(volume, 'Released');
    const ours = volume.metadata.annotations?.[provisionedBy] === localPathProvisioner;
    if (reclaimPolicy(volume) !== 'Delete' || !ours || isTerminating(released)) return;
    try {
      await this.#context.client.delete(persistentvolumes, objectKey(volume));
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
    }
  }

  async #unbind(volume: PersistentVolume): Promise<void> {
    const { [boundByController]: ours, ...annotations } = volume.metadata.annotations ?? {};
    const { claimRef, ...spec } = volume.spec ?? {};
    const { uid: _uid, resourceVersion: _version, ...reserved } = claimRef ?? {};
    const unbound = await this.#context.client.update(persistentvolumes, {
      ...volume,
      metadata: { ...volume.metadata, annotations },
      // What the user reserved by name stays reserved.
      spec: ours === undefined ? { ...spec, claimRef: reserved } : spec,
    });
    await this.#volumePhase(unbound, 'Available');
  }

  async #claimPhase(claim: PersistentVolumeClaim, phase: string): Promise<void> {
    const fresh = this.#claims.lister.get(keyOf(claim)) ?? claim;
    if (fresh.status?.phase === phase) return;
    const { capacity: _capacity, accessModes: _modes, ...rest } = fresh.status ?? {};
    const status = { ...(phase === 'Pending' ? rest : fresh.status), phase };
    await this.#context.client.update(persistentvolumeclaims, { ...fresh, status }, { subresource: 'status' });
  }

  async #volumePhase(volume: PersistentVolume, phase: string): Promise<PersistentVolume> {
    if (volume.status?.phase === phase) return volume;
    const status = { phase, lastPhaseTransitionTime: formatTime(this.#context.now()) };
    if (stableStringify(status) === stableStringify(volume.status)) return volume;
    return this.#context.client.update(persistentvolumes, { ...volume, status }, { subresource: 'status' });
  }
}

function reclaimPolicy(volume: PersistentVolume): string {
  return volume.spec?.persistentVolumeReclaimPolicy ?? 'Retain';
}
