import type { Pod, Secret } from '../../apimachinery/types/core-v1.ts';
import type { ConfigSource } from '../container/environment.ts';
import type { RegistryAuth } from '../runtime.ts';
import { registryOf } from './reference.ts';

interface DockerEntry {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

type Entries = Readonly<Record<string, DockerEntry>>;

/** The registries a pull secret holds credentials for; a secret that cannot be read as such holds none. */
function entriesOf(secret: Secret): Entries {
  try {
    const text = (key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
    if (secret.type === 'kubernetes.io/dockerconfigjson')
      return (JSON.parse(text('.dockerconfigjson')) as { auths?: Entries }).auths ?? {};
    if (secret.type === 'kubernetes.io/dockercfg') return JSON.parse(text('.dockercfg')) as Entries;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return {};
}

const hubNames = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/** How specifically a key (`host[:port][/path]`, the host may hold `*`) matches an image; undefined if not at all. */
export function matchRank(key: string, image: string): number | undefined {
  const [host = '', ...path] = key
    .replace(/^https?:\/\//, '')
    .replace(/\/v[12]\/?$/, '')
    .split('/');
  const registry = registryOf(image);
  const pattern = host.split('.').map((part) => part.replace(/[-[\]{}()+?\\^$|#]/g, '\\$&').replaceAll('*', '[^.]*'));
  const hosts = hubNames.includes(registry) ? hubNames : [registry];
  if (!hosts.some((one) => new RegExp(`^${pattern.join('\\.')}$`).test(one))) return undefined;
  const prefix = path.filter((part) => part !== '').join('/');
  const repository = image.startsWith(`${registry}/`) ? image.slice(registry.length + 1) : image;
  if (!repository.startsWith(prefix)) return undefined;
  return prefix.length;
}

/** Credentials for an image from a pod's `imagePullSecrets`, the most specific first. Secrets that are missing are passed over. */
export async function pullCredentials(pod: Pod, image: string, config: ConfigSource): Promise<RegistryAuth[]> {
  const found: { rank: number; auth: RegistryAuth }[] = [];
  for (const { name = '' } of pod.spec?.imagePullSecrets ?? []) {
    const secret = await config.secret(pod.metadata?.namespace ?? '', name).catch(() => undefined);
    if (secret === undefined) continue;
    for (const [key, entry] of Object.entries(entriesOf(secret))) {
      const rank = matchRank(key, image);
      if (rank === undefined) continue;
      const [user, ...password] = Buffer.from(entry.auth ?? '', 'base64')
        .toString()
        .split(':');
      const username = entry.username ?? user;
      found.push({
        rank,
        auth: {
          ...(username === undefined ? {} : { username, password: entry.password ?? password.join(':') }),
          ...(entry.identitytoken === undefined ? {} : { identityToken: entry.identitytoken }),
          ...(entry.registrytoken === undefined ? {} : { registryToken: entry.registrytoken }),
        },
      });
    }
  }
  return found.sort((a, b) => b.rank - a.rank).map(({ auth }) => auth);
}
