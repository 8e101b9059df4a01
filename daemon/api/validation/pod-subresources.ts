import { parseQuantity } from '../../apimachinery/quantity.ts';
import type { Container, ContainerStatus, Pod, ResourceRequirements } from '../../apimachinery/types/core-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { podQosClass } from '../resources/pod-qos.ts';
import { type Errors, forbidden, immutableMessage, invalid, invalidAll } from './field-error.ts';
import { dns1123Subdomain, ipMessage, isIp, qualifiedName } from './names.ts';
import { validateSpecOfPod } from './pod.ts';

const systemConditions = new Set(['PodScheduled', 'Ready', 'Initialized']);

/** `status`: containers that ended for good stay so, and what identifies the pod is well formed. */
export function validatePodStatusUpdate(pod: Pod, old: Pod, errors: Errors): void {
  const { status = {} } = pod;
  const before = old.status ?? {};
  for (const [index, { type }] of (status.conditions ?? []).entries()) {
    if (!systemConditions.has(type))
      invalidAll(errors, `metadata.conditions[${index}].Type`, type, qualifiedName(type));
  }
  const nominated = status.nominatedNodeName;
  if (nominated && nominated !== before.nominatedNodeName) {
    invalidAll(errors, 'status.nominatedNodeName', nominated, dns1123Subdomain(nominated));
  }
  if (status.qosClass !== before.qosClass) invalid(errors, 'status.qosClass', status.qosClass, immutableMessage);
  const sidecars = new Set(
    (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always').map(({ name }) => name),
  );
  const policy = old.spec.restartPolicy ?? 'Always';
  requireEnded(status.containerStatuses, before.containerStatuses, 'status.containerStatuses', policy, errors);
  const initBefore = before.initContainerStatuses?.map((one) => (sidecars.has(one.name) ? { ...one, state: {} } : one));
  requireEnded(status.initContainerStatuses, initBefore, 'status.initContainerStatuses', policy, errors);
  const ephemeral = 'status.ephemeralContainerStatuses';
  requireEnded(status.ephemeralContainerStatuses, before.ephemeralContainerStatuses, ephemeral, 'Never', errors);
  for (const [index, { ip = '' }] of (status.podIPs ?? []).entries()) {
    if (!isIp(ip)) invalid(errors, `status.podIPs[${index}]`, ip, ipMessage);
  }
}

function requireEnded(
  now: readonly ContainerStatus[] | undefined,
  before: readonly ContainerStatus[] | undefined,
  field: string,
  restartPolicy: string,
  errors: Errors,
): void {
  if (restartPolicy === 'Always') return;
  for (const [index, { name, state }] of (before ?? []).entries()) {
    if (state?.terminated === undefined) continue;
    if (state.terminated.exitCode !== 0 && restartPolicy === 'OnFailure') continue;
    const revived = now?.some((status) => status.name === name && status.state?.terminated === undefined);
    if (revived) forbidden(errors, `${field}[${index}].state`, 'may not be transitioned to non-terminated state');
  }
}

/** `resize`: CPU and memory of containers, without changing the pod's quality of service. */
export function validatePodResize(pod: Pod, old: Pod, errors: Errors): void {
  validateSpecOfPod(pod, errors);
  if (podQosClass(pod) !== (old.status?.qosClass ?? podQosClass(old))) {
    invalid(errors, 'spec', pod.status?.qosClass, 'Pod QOS Class may not change as a result of resizing');
  }
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (pod.spec[list] ?? []).entries()) {
      const before = old.spec[list]?.[index];
      if (before === undefined) continue;
      const isPlainInit = list === 'initContainers' && container.restartPolicy !== 'Always';
      if (isPlainInit) {
        if (!equalJson(container, before)) {
          forbidden(errors, 'spec', 'resources for non-sidecar init containers are immutable');
        }
      } else validateContainerResize(container, before, `spec.${list}[${index}].resources`, errors);
    }
  }
}

const resizable = new Set(['cpu', 'memory']);

function validateContainerResize(container: Container, before: Container, field: string, errors: Errors): void {
  const [now, old]: ResourceRequirements[] = [container.resources ?? {}, before.resources ?? {}];
  for (const list of ['requests', 'limits'] as const) {
    for (const name in old![list]) {
      if (now![list]?.[name] === undefined) forbidden(errors, `${field}.${list}`, `resource ${list} cannot be removed`);
    }
    for (const name in now![list]) {
      if (!resizable.has(name) && now![list]?.[name] !== old![list]?.[name]) {
        forbidden(errors, 'spec', 'only cpu and memory resources are mutable');
      }
    }
  }
  const memory = container.resizePolicy?.find(({ resourceName }) => resourceName === 'memory')?.restartPolicy;
  if (memory === 'RestartContainer') return;
  const [limit, oldLimit] = [now!.limits?.['memory'], old!.limits?.['memory']];
  if (limit === undefined) return;
  if (oldLimit === undefined) {
    forbidden(
      errors,
      `${field}.limits[memory]`,
      'memory limits cannot be added unless resizePolicy is RestartContainer',
    );
  } else if (parseQuantity(limit).compare(parseQuantity(oldLimit)) < 0) {
    forbidden(
      errors,
      `${field}.limits[memory]`,
      'memory limits cannot be decreased unless resizePolicy is RestartContainer',
    );
  }
}
