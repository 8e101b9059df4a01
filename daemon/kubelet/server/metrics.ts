import { Gauge, Registry } from 'prom-client';
import { ContainerState, PodSandboxState } from '../../../proto/generated/cri/runtime/v1/api.ts';
import type { KubeletContext } from '../context.ts';
import { nodeUsage, podSummaries, UsageRates } from './stats.ts';

/** `/metrics`: the kubelet itself. */
export async function kubeletMetrics(context: KubeletContext, nodeName: string): Promise<string> {
  const registry = new Registry();
  const [sandboxes, containers] = await Promise.all([
    context.runtime.listPodSandboxes(),
    context.runtime.listContainers(),
  ]);
  new Gauge({
    name: 'kubelet_node_name',
    help: "The node's name. The count is always 1.",
    labelNames: ['node'],
    registers: [registry],
  }).set({ node: nodeName }, 1);
  new Gauge({
    name: 'kubelet_running_pods',
    help: 'Number of pods that have a running pod sandbox',
    registers: [registry],
  }).set(sandboxes.filter(({ state }) => state === PodSandboxState.SANDBOX_READY).length);
  const running = new Gauge({
    name: 'kubelet_running_containers',
    help: 'Number of containers currently running',
    labelNames: ['container_state'],
    registers: [registry],
  });
  const names = { CONTAINER_CREATED: 'created', CONTAINER_RUNNING: 'running', CONTAINER_EXITED: 'exited' } as const;
  for (const [key, label] of Object.entries(names)) {
    const state = ContainerState[key as keyof typeof names];
    running.set({ container_state: label }, containers.filter((container) => container.state === state).length);
  }
  return registry.metrics();
}

/** `/metrics/resource`: what node, pods and containers use; the source of `kubectl top`. */
export async function resourceMetrics(context: KubeletContext): Promise<string> {
  const registry = new Registry();
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const [usage, pods] = await Promise.all([nodeUsage(), podSummaries(context, new UsageRates())]);
  const perContainer = ['container', 'namespace', 'pod'] as const;
  const containerCpu = gauge(
    'container_cpu_usage_seconds_total',
    '[STABLE] Cumulative cpu time consumed by the container in core-seconds',
    [...perContainer],
  );
  const containerMemory = gauge(
    'container_memory_working_set_bytes',
    '[STABLE] Current working set of the container in bytes',
    [...perContainer],
  );
  const podCpu = gauge(
    'pod_cpu_usage_seconds_total',
    '[STABLE] Cumulative cpu time consumed by the pod in core-seconds',
    ['namespace', 'pod'],
  );
  const podMemory = gauge('pod_memory_working_set_bytes', '[STABLE] Current working set of the pod in bytes', [
    'namespace',
    'pod',
  ]);
  for (const { podRef, containers, cpu, memory } of pods) {
    const pod = { namespace: podRef.namespace, pod: podRef.name };
    podCpu.set(pod, cpu.usageCoreNanoSeconds / 1e9);
    podMemory.set(pod, memory.workingSetBytes);
    for (const container of containers) {
      containerCpu.set({ ...pod, container: container.name }, container.cpu.usageCoreNanoSeconds / 1e9);
      containerMemory.set({ ...pod, container: container.name }, container.memory.workingSetBytes);
    }
  }
  gauge('node_cpu_usage_seconds_total', '[STABLE] Cumulative cpu time consumed by the node in core-seconds').set(
    usage.cpuSeconds,
  );
  gauge('node_memory_working_set_bytes', '[STABLE] Current working set of the node in bytes').set(
    usage.workingSetBytes,
  );
  gauge('resource_scrape_error', '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise').set(
    0,
  );
  gauge('scrape_error', '[ALPHA] 1 if there was an error while getting container metrics, 0 otherwise').set(0);
  const text = await registry.metrics();
  // Counters whose values are not ours to count up: the client library would only let them grow by steps.
  return text.replace(/^(# TYPE \w+_seconds_total) gauge$/gm, '$1 counter');
}
