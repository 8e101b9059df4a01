import type { KubernetesObject, Resource } from '../apimachinery/resource.ts';
import type { ApiClient } from '../client/api-client.ts';
import type { Clock } from '../client/clock.ts';
import type { Informer, InformerHandler } from '../client/informer.ts';
import type { WorkQueue } from '../client/work-queue.ts';
import type { KeyPair } from '../cluster/pki/certificate.ts';
import type { Logger } from '../log/logger.ts';

/** What the operator of the cluster chose, as far as controllers care. */
export interface ControllerSettings {
  /** PEM bundle published as `kube-root-ca.crt` in every namespace. */
  readonly rootCa: string;
  /** The authority that signs certificate requests of Kubernetes' own signers; absent: they stay unsigned. */
  readonly signingCa?: KeyPair;
  /** Pod networks, one per IP family, such as `10.244.0.0/16`. Empty: nodes get no pod CIDR from us. */
  readonly clusterPodCidrs: readonly string[];
  readonly nodeCidrMaskSizeIpv4: number;
  readonly nodeCidrMaskSizeIpv6: number;
  /** How long a node may go without a sign of life before it is Unknown, in milliseconds. */
  readonly nodeMonitorGraceMs: number;
  /** How many finished pods are kept before the oldest are deleted; 0: all. */
  readonly terminatedPodThreshold: number;
  /** Directory on the nodes below which the local-path provisioner makes volumes. */
  readonly localPathDirectory: string;
  /** Resources the API serves, custom ones included, preferred version first. */
  readonly resources: () => readonly Resource[];
}

export type EventType = 'Normal' | 'Warning';

/** What one controller acts with: its own identity, shared caches, queues that stop with it, and the clock. */
export interface ControllerContext {
  /** The service account name in kube-system, such as `deployment-controller`. */
  readonly name: string;
  readonly client: ApiClient;
  readonly logger: Logger;
  readonly settings: ControllerSettings;
  readonly clock: Clock;
  now(): Date;
  /** The shared cache of a resource. It has synced by the time a reconciler runs. */
  informer<T extends KubernetesObject>(resource: Resource<T>): Informer<T>;
  /** As `informer`, with callbacks until the controller stops. */
  watch<T extends KubernetesObject>(resource: Resource<T>, handler: InformerHandler<T>): Informer<T>;
  /** A queue whose keys are handed to `reconcile`, which is retried with back-off when it throws. */
  reconciler(name: string, workers: number, reconcile: (key: string) => Promise<void>): WorkQueue;
  event(resource: Resource, object: KubernetesObject, type: EventType, reason: string, message: string): void;
  /** Runs when the controller stops, before its queues are drained. */
  onStop(stop: () => void): void;
}

/** One line of the controllers' table. */
export interface ControllerRow {
  /** As kube-controller-manager names it on its command line. */
  readonly name: string;
  /** The service account in kube-system it acts as. */
  readonly identity: string;
  /** Component its events name, where that is not the identity. */
  readonly eventSource?: string;
  /** Keys each of its reconcilers handles at a time. */
  readonly workers: number;
  readonly start: (context: ControllerContext, workers: number) => void;
}
