import type { Container, Pod, PodSpec, PodTemplateSpec } from '../../../apimachinery/types/core-v1.ts';
import { defaultContainer, defaultRequestsFromLimits } from './containers.ts';
import { defaultVolume } from './volumes.ts';

/** What holds for the spec of a pod and of a template alike (`SetDefaults_PodSpec`). */
export function defaultPodSpec(spec: PodSpec): void {
  spec.containers ??= [];
  for (const container of spec.containers) defaultContainer(container);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  spec.restartPolicy ||= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.securityContext ??= {};
  spec.schedulerName ||= 'default-scheduler';
  // `serviceAccount` is the old name of the field: both are always served, the new one wins.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) spec.serviceAccount = spec.serviceAccountName = account;
}

export function defaultPodTemplate(template: PodTemplateSpec): void {
  template.metadata ??= {};
  template.spec ??= { containers: [] };
  defaultPodSpec(template.spec);
}

/** The host's port is the container's when the pod is on the host's network. */
function defaultHostPorts(container: Container): void {
  for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
}

export function defaultPod(pod: Pod): void {
  pod.spec ??= { containers: [] };
  pod.status ??= {};
  const { spec } = pod;
  defaultPodSpec(spec);
  for (const container of spec.containers) defaultRequestsFromLimits(container);
  for (const container of spec.initContainers ?? []) defaultRequestsFromLimits(container);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork === true) {
    for (const container of spec.containers) defaultHostPorts(container);
    for (const container of spec.initContainers ?? []) defaultHostPorts(container);
  }
}
