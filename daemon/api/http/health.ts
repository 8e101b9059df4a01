/** One named condition of a healthy server. Yields undefined when it holds, else why not. */
export interface HealthCheck {
  readonly name: string;
  /** The endpoints it belongs to. */
  readonly endpoints: readonly ('healthz' | 'livez' | 'readyz')[];
  readonly failure: () => string | undefined;
}

/** `/healthz`, `/livez` and `/readyz`, in the words of kube-apiserver. */
export class HealthChecks {
  readonly #checks: readonly HealthCheck[];
  static readonly #endpoints = ['healthz', 'livez', 'readyz'] as const;

  constructor(checks: readonly HealthCheck[]) {
    this.#checks = checks;
  }

  has(endpoint: string): boolean {
    return HealthChecks.#endpoints.some((known) => known === endpoint);
  }

  hasCheck(endpoint: string, check: string): boolean {
    return this.#of(endpoint).some(({ name }) => name === check);
  }

  paths(): string[] {
    return HealthChecks.#endpoints.flatMap((endpoint) => [
      `/${endpoint}`,
      ...this.#of(endpoint).map(({ name }) => `/${endpoint}/${name}`),
    ]);
  }

  #of(endpoint: string): HealthCheck[] {
    return this.#checks.filter(({ endpoints }) => endpoints.some((name) => name === endpoint));
  }

  /** `check` names one check alone; empty: all. */
  run(
    endpoint: string,
    options: { readonly check: string; readonly verbose: boolean; readonly exclude: readonly string[] },
  ): { healthy: boolean; text: string } {
    const lines: string[] = [];
    let healthy = true;
    const excluded = new Set(options.exclude.filter((name) => name !== ''));
    for (const { name, failure } of this.#of(endpoint)) {
      if (options.check !== '' && name !== options.check) continue;
      if (excluded.delete(name)) {
        lines.push(`[+]${name} excluded: ok`);
        continue;
      }
      const reason = failure();
      if (reason === undefined) lines.push(`[+]${name} ok`);
      else {
        healthy = false;
        lines.push(`[-]${name} failed: reason withheld`);
      }
    }
    if (excluded.size > 0) {
      const names = [...excluded].map((name) => JSON.stringify(name)).join(',');
      lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
    }
    if (healthy && !options.verbose) return { healthy, text: 'ok' };
    lines.push(healthy ? `${endpoint} check passed` : `${endpoint} check failed`);
    return { healthy, text: `${lines.join('\n')}\n` };
  }
}
