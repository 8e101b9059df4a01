import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

/** What a kubeconfig's context says: one server and one user. */
export interface KubeconfigContext {
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly namespace?: string;
}

interface Named {
  readonly name?: string;
}
interface KubeconfigFile {
  readonly 'current-context'?: string;
  readonly contexts?: readonly (Named & { context?: { cluster?: string; user?: string; namespace?: string } })[];
  readonly clusters?: readonly (Named & { cluster?: Record<string, string | undefined> })[];
  readonly users?: readonly (Named & { user?: Record<string, string | undefined> })[];
}

/** The text of a kubeconfig file with one context, as kubectl reads it. */
export function writeKubeconfig(cluster: string, user: string, context: KubeconfigContext): string {
  const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
  const name = `${user}@${cluster}`;
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: cluster, cluster: { server: context.server, 'certificate-authority-data': base64(context.ca) } },
      ],
      users: [
        {
          name: user,
          user:
            context.token !== undefined
              ? { token: context.token }
              : { 'client-certificate-data': base64(context.cert ?? ''), 'client-key-data': base64(context.key ?? '') },
        },
      ],
      contexts: [
        {
          name,
          context: { cluster, user, ...(context.namespace === undefined ? {} : { namespace: context.namespace }) },
        },
      ],
      'current-context': name,
    },
    { lineWidth: 0 },
  );
}

/** Reads the current context. Throws an Error that names the file and what is missing. */
export function readKubeconfig(path: string): KubeconfigContext {
  const file = (parse(readFileSync(path, 'utf8')) ?? {}) as KubeconfigFile;
  const find = <T extends Named>(kind: string, items: readonly T[] | undefined, name: string | undefined): T => {
    const found = items?.find((item) => item.name === name);
    if (found === undefined) throw new Error(`${path}: no ${kind} named ${JSON.stringify(name ?? '')}`);
    return found;
  };
  const context = find('context', file.contexts, file['current-context']).context ?? {};
  const cluster = find('cluster', file.clusters, context.cluster).cluster ?? {};
  const user = find('user', file.users, context.user).user ?? {};
  const pem = (section: Record<string, string | undefined>, field: string): string | undefined => {
    const inline = section[`${field}-data`];
    if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8');
    const at = section[field];
    return at === undefined ? undefined : readFileSync(at, 'utf8');
  };
  const ca = pem(cluster, 'certificate-authority');
  if (cluster['server'] === undefined || ca === undefined)
    throw new Error(`${path}: cluster ${JSON.stringify(context.cluster)} needs a server and a certificate-authority`);
  const cert = pem(user, 'client-certificate');
  const key = pem(user, 'client-key');
  return {
    server: cluster['server'],
    ca,
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(user['token'] === undefined ? {} : { token: user['token'] }),
    ...(context.namespace === undefined ? {} : { namespace: context.namespace }),
  };
}

/** Where kubectl looks: the first file of `KUBECONFIG`, else `~/.kube/config`. */
export function defaultKubeconfigPath(environment: NodeJS.ProcessEnv = process.env): string {
  return environment['KUBECONFIG']?.split(':').find((path) => path !== '') ?? join(homedir(), '.kube/config');
}
