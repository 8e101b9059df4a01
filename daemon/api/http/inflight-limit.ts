import type { Identity } from '../../client/api-client.ts';
import type { RequestInfo } from './request-info.ts';
import { inflightRequests } from './request-metrics.ts';

/** kube-apiserver's `--max-requests-inflight` and `--max-mutating-requests-inflight`. */
const maxReadOnly = 400;
const maxMutating = 200;

const readOnlyVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch', 'head']);
const connections: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward', 'log', 'proxy']);

/**
 * How many requests may be under way at once: beyond that the server says so (429) rather than keep ever more waiting.
 * Watches and connections last as long as they last and do not count; administrators always get in.
 */
export class InflightLimit {
  #readOnly = 0;
  #mutating = 0;

  /** The function that ends the request, or undefined: there is no room for it. */
  enter(info: RequestInfo, identity: Identity): (() => void) | undefined {
    if (info.verb === 'watch' || connections.has(info.resource?.subresource ?? '')) return nothing;
    const exempt = identity.groups.includes('system:masters');
    if (readOnlyVerbs.has(info.verb)) {
      if (this.#readOnly >= maxReadOnly && !exempt) return undefined;
      this.#readOnly++;
      inflightRequests.readOnly.inc();
      return () => {
        this.#readOnly--;
        inflightRequests.readOnly.dec();
      };
    }
    if (this.#mutating >= maxMutating && !exempt) return undefined;
    this.#mutating++;
    inflightRequests.mutating.inc();
    return () => {
      this.#mutating--;
      inflightRequests.mutating.dec();
    };
  }
}

/** A request that does not count has nothing to give back. */
function nothing(): void {}
