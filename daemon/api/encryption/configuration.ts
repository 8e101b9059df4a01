import { parse as parseYaml } from 'yaml';
import type { Resource } from '../../apimachinery/resource.ts';
import { aesCbc, aesGcm, identityTransformer, Keyring, type Transformer } from './transformer.ts';

interface Keys {
  readonly keys?: readonly { readonly name: string; readonly secret: string }[];
}

interface Provider {
  readonly aesgcm?: Keys;
  readonly aescbc?: Keys;
  readonly identity?: object;
}

interface Configuration {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly resources?: readonly { readonly resources: readonly string[]; readonly providers: readonly Provider[] }[];
}

/** A configuration that breaks a rule; the message names the field. */
export class EncryptionConfigurationError extends Error {
  override readonly name = 'EncryptionConfigurationError';
}

/** The keyring of a resource; undefined: it is stored as it is. */
export type KeyringFor = (resource: Pick<Resource, 'group' | 'resource'>) => Keyring | undefined;

/** Reads an `EncryptionConfiguration` of apiserver.config.k8s.io/v1: providers aesgcm, aescbc and identity. */
export function parseEncryptionConfiguration(text: string): KeyringFor {
  const configuration = parseYaml(text) as Configuration | null;
  const isKnown = configuration?.apiVersion === 'apiserver.config.k8s.io/v1';
  if (!isKnown || configuration.kind !== 'EncryptionConfiguration') {
    throw new EncryptionConfigurationError('expected kind EncryptionConfiguration of apiserver.config.k8s.io/v1');
  }
  const sets = (configuration.resources ?? []).map(({ resources, providers }, index) => {
    const transformers = (providers ?? []).flatMap((provider, at) =>
      transformersOf(provider, `resources[${index}].providers[${at}]`),
    );
    const [first, ...others] = transformers;
    if (first === undefined) throw new EncryptionConfigurationError(`resources[${index}].providers: Required value`);
    return { resources, keyring: new Keyring([first, ...others]) };
  });
  // The first set that names a resource counts, as in Kubernetes.
  return ({ group, resource }) =>
    sets.find(({ resources }) =>
      resources.some((name) => name === '*.*' || name === `*.${group}` || name === qualified(group, resource)),
    )?.keyring;
}

const qualified = (group: string, resource: string): string => (group === '' ? resource : `${resource}.${group}`);

function transformersOf(provider: Provider, field: string): Transformer[] {
  const read = (
    keys: Keys,
    make: (name: string, secret: Buffer) => Transformer,
    sizes: readonly number[],
    at: string,
  ) => {
    if ((keys.keys ?? []).length === 0) throw new EncryptionConfigurationError(`${at}.keys: Required value`);
    return keys.keys!.map(({ name, secret }, index) => {
      const bytes = Buffer.from(secret ?? '', 'base64');
      if (!sizes.includes(bytes.length)) {
        throw new EncryptionConfigurationError(
          `${at}.keys[${index}].secret: Invalid value: "REDACTED": secret is not of the expected length, got ${bytes.length}, expected one of [${sizes.join(' ')}]`,
        );
      }
      return make(name, bytes);
    });
  };
  if (provider.aesgcm !== undefined) return read(provider.aesgcm, aesGcm, [16, 24, 32], `${field}.aesgcm`);
  if (provider.aescbc !== undefined) return read(provider.aescbc, aesCbc, [32], `${field}.aescbc`);
  if (provider.identity !== undefined) return [identityTransformer];
  throw new EncryptionConfigurationError(
    `${field}: provider does not contain any of the expected providers: aesgcm, aescbc, identity`,
  );
}
