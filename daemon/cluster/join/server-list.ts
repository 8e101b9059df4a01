import { setTimeout as delay } from 'node:timers/promises';
import { endpointslices } from '../../apimachinery/types/resources.ts';
import type { ApiClient } from '../../client/api-client.ts';
import type { Logger } from '../../log/logger.ts';
import { apiServersOf } from './api-servers.ts';

const everyMs = 10_000;

/**
 * Keeps `servers`, which clients read whenever they connect, equal to the API servers that the cluster has; `onChange` keeps
 * them for the next start. A list that is empty is not believed: a node that knows no server could never ask again.
 */
export function followServers(options: {
  readonly client: ApiClient;
  readonly servers: string[];
  readonly onChange: (servers: readonly string[]) => void;
  readonly logger: Logger;
}): { stop(): Promise<void> } {
  const { client, servers, onChange, logger } = options;
  const stopping = new AbortController();
  const follow = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const { items } = await client.list(endpointslices, {
          namespace: 'default',
          labelSelector: 'kubernetes.io/service-name=kubernetes',
        });
        const found = apiServersOf(items);
        if (found.length > 0 && found.join() !== [...servers].sort().join()) {
          servers.splice(0, servers.length, ...found);
          onChange(found);
          logger.info({ servers: found }, 'the API servers have changed');
        }
      } catch (error) {
        logger.debug({ err: error }, 'cannot ask which API servers there are');
      }
      await delay(everyMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
    }
  };
  const following = follow();
  return {
    async stop() {
      stopping.abort();
      await following;
    },
  };
}
