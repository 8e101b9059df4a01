import { Counter, Gauge, Histogram } from 'prom-client';
import { metrics } from '../metrics/metrics.ts';

const registers = [metrics];
const profile = 'default-scheduler';

/** `count` bounds from `start` on, each `factor` times the one before. */
function exponential(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start * factor ** i);
}

const pending = new Gauge({
  name: 'scheduler_pending_pods',
  help: 'Number of pending pods, by the queue type.',
  labelNames: ['queue'],
  registers,
});
const incoming = new Counter({
  name: 'scheduler_queue_incoming_pods_total',
  help: 'Number of pods added to scheduling queues by event and queue type.',
  labelNames: ['event', 'queue'],
  registers,
});
const attempts = new Counter({
  name: 'scheduler_schedule_attempts_total',
  help: "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem.",
  labelNames: ['profile', 'result'],
  registers,
});
const attemptDuration = new Histogram({
  name: 'scheduler_scheduling_attempt_duration_seconds',
  help: 'Scheduling attempt latency in seconds (scheduling algorithm + binding)',
  labelNames: ['profile', 'result'],
  buckets: exponential(0.001, 2, 15),
  registers,
});
const algorithmDuration = new Histogram({
  name: 'scheduler_scheduling_algorithm_duration_seconds',
  help: 'Scheduling algorithm latency in seconds',
  buckets: exponential(0.001, 2, 15),
  registers,
});
const podAttempts = new Histogram({
  name: 'scheduler_pod_scheduling_attempts',
  help: 'Number of attempts to successfully schedule a pod.',
  buckets: exponential(1, 2, 5),
  registers,
});
const podDuration = new Histogram({
  name: 'scheduler_pod_scheduling_sli_duration_seconds',
  help: 'E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve multiple scheduling attempts.',
  labelNames: ['attempts'],
  buckets: exponential(0.01, 2, 20),
  registers,
});
const preemptionAttempts = new Counter({
  name: 'scheduler_preemption_attempts_total',
  help: 'Total preemption attempts in the cluster till now',
  registers,
});
const preemptionVictims = new Histogram({
  name: 'scheduler_preemption_victims',
  help: 'Number of selected preemption victims',
  buckets: exponential(1, 2, 7),
  registers,
});
const cacheSize = new Gauge({
  name: 'scheduler_cache_size',
  help: 'Number of nodes, pods, and assumed (bound) pods in the scheduler cache.',
  labelNames: ['type'],
  registers,
});

/** The size of each queue, under the names dashboards know. */
export const pendingPods = {
  set(queue: string, size: number): void {
    if (queue !== 'inflight') {
      pending.labels(queue).set(size);
    }
  },
};

export const incomingPods = {
  add(event: string, queue: string): void {
    incoming.labels(event, queue).inc();
  },
};

export type AttemptResult = 'scheduled' | 'unschedulable' | 'error';

export function countAttempt(result: AttemptResult, seconds: number): void {
  attempts.labels(profile, result).inc();
  attemptDuration.labels(profile, result).observe(seconds);
}

export function countAlgorithm(seconds: number): void {
  algorithmDuration.observe(seconds);
}

export function countScheduledPod(tries: number, seconds: number): void {
  podAttempts.observe(tries);
  podDuration.labels(tries >= 15 ? '15+' : String(tries)).observe(seconds);
}

export function countPreemption(victims: number): void {
  preemptionAttempts.inc();
  if (victims > 0) {
    preemptionVictims.observe(victims);
  }
}

export function setCacheSize(nodes: number, pods: number): void {
  cacheSize.labels('nodes').set(nodes);
  cacheSize.labels('pods').set(pods);
}
