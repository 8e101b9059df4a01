export type ProbeOutcome = 'success' | 'failure' | 'unknown';
export type ProbeKind = 'liveness' | 'readiness' | 'startup';

/** What probes have found out about containers, by container id; `unknown` until they have. */
export interface ProbeResults {
  liveness(containerId: string): ProbeOutcome;
  readiness(containerId: string): ProbeOutcome;
  startup(containerId: string): ProbeOutcome;
}

export const noProbeResults: ProbeResults = {
  liveness: () => 'unknown',
  readiness: () => 'unknown',
  startup: () => 'unknown',
};
