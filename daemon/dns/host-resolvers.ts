import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** Milliseconds between two looks at the file. */
const checkInterval = 5000;

/**
 * The host's resolvers from resolv.conf, read again when the file changes. `own`: addresses where this very server answers, which
 * would make a loop.
 */
export function hostResolvers(own: readonly string[], file = '/etc/resolv.conf'): () => readonly string[] {
  let resolvers: readonly string[] = [];
  let checkedAt = Number.NEGATIVE_INFINITY;
  let modified = -1;
  return () => {
    if (performance.now() - checkedAt < checkInterval) return resolvers;
    checkedAt = performance.now();
    try {
      const { mtimeMs } = statSync(file);
      if (mtimeMs !== modified) {
        resolvers = parseResolvers(readFileSync(file, 'utf8'), own);
        modified = mtimeMs;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // A host without resolvers: names outside the cluster cannot be answered.
      resolvers = [];
      modified = -1;
    }
    return resolvers;
  };
}

export function parseResolvers(text: string, own: readonly string[]): string[] {
  return text
    .split('\n')
    .map((line) => /^\s*nameserver\s+([^\s#;]+)/.exec(line)?.[1])
    .filter((address): address is string => address !== undefined && isIP(address.split('%')[0] ?? '') !== 0)
    .filter((address) => !own.includes(address));
}
