import type { Resource } from '../apimachinery/resource.ts';
import type { ApiClient } from '../client/api-client.ts';
import { type Clock, systemClock } from '../client/clock.ts';
import type { SharedInformers } from '../client/informer.ts';
import type { KeyPair } from '../cluster/pki/certificate.ts';
import type { Logger } from '../log/logger.ts';
import type { ControllerRow, ControllerSettings } from './controller-context.ts';
import { controllerRows } from './controller-table.ts';
import { RunningController } from './running-controller.ts';
import { builtInResources } from './served-resources.ts';

export interface ControllersOptions {
  /** A client that acts as `system:serviceaccount:kube-system:<controller>`. */
  readonly clientFor: (controller: string) => ApiClient;
  /** Shared by all controllers; started here, stopped by whoever made them. */
  readonly informers: SharedInformers;
  readonly logger: Logger;
  /** PEM bundle published as `kube-root-ca.crt` in every namespace. */
  readonly rootCa: string;
  /** The authority, key included, that signs certificate requests; absent: they stay unsigned. */
  readonly signingCa?: KeyPair;
  /** Pod network: one CIDR, or one of each IP family separated by a comma. */
  readonly clusterPodCidr: string;
  /** Prefix length of a node's share of an IPv4 pod network; 24 unless told. */
  readonly nodeCidrMaskSize?: number;
  /** 64 unless told. */
  readonly nodeCidrMaskSizeIpv6?: number;
  /** How long a silent node stays Ready, in milliseconds; 50 s unless told. */
  readonly nodeMonitorGraceMs?: number;
  /** Finished pods kept in the cluster; 12500 unless told. */
  readonly terminatedPodThreshold?: number;
  readonly localPathDirectory?: string;
  /** What the API serves, custom resources included; the built-in resources unless told. */
  readonly resources?: () => readonly Resource[];
  readonly clock?: Clock;
  /** Which controllers run; all of the table unless told. */
  readonly rows?: readonly ControllerRow[];
}

export interface Controllers {
  /** Resolves once every reconcile under way has ended. */
  stop(): Promise<void>;
}

/**
 * Starts every controller of the table: registers what it watches, waits for the caches to fill, then lets its queues run. To be
 * run by one process of the cluster at a time, the leader. Nothing of what they know outlives them: a controller started
 * elsewhere goes on from what the API holds.
 */
export async function startControllers(options: ControllersOptions): Promise<Controllers> {
  const clock = options.clock ?? systemClock;
  const settings = settingsOf(options);
  const running = (options.rows ?? controllerRows).map((row) => {
    const controller = new RunningController({
      name: row.identity,
      eventSource: row.eventSource ?? row.identity,
      client: options.clientFor(row.identity),
      informers: options.informers,
      logger: options.logger.child({ controller: row.name }),
      settings,
      clock,
    });
    row.start(controller, row.workers);
    return controller;
  });
  await options.informers.start();
  for (const controller of running) controller.run();
  return {
    async stop() {
      await Promise.all(running.map((controller) => controller.stop()));
    },
  };
}

function settingsOf(options: ControllersOptions): ControllerSettings {
  return {
    rootCa: options.rootCa,
    ...(options.signingCa === undefined ? {} : { signingCa: options.signingCa }),
    clusterPodCidrs: options.clusterPodCidr.split(',').filter((cidr) => cidr !== ''),
    nodeCidrMaskSizeIpv4: options.nodeCidrMaskSize ?? 24,
    nodeCidrMaskSizeIpv6: options.nodeCidrMaskSizeIpv6 ?? 64,
    nodeMonitorGraceMs: options.nodeMonitorGraceMs ?? 50_000,
    terminatedPodThreshold: options.terminatedPodThreshold ?? 12_500,
    localPathDirectory: options.localPathDirectory ?? '/var/lib/balsa/local-path',
    resources: options.resources ?? (() => builtInResources),
  };
}
