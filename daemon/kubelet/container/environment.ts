import { isApiError } from '../../apimachinery/api-error.ts';
import type { ConfigMap, Container, EnvVarSource, Pod, Secret, Service } from '../../apimachinery/types/core-v1.ts';
import { type DownwardFacts, fieldValue, resourceValue } from './downward.ts';
import { expand } from './expansion.ts';
import { serviceEnvironment } from './service-environment.ts';

/** ConfigMaps and Secrets, from wherever they are kept. A missing one rejects with a NotFound ApiError. */
export interface ConfigSource {
  configMap(namespace: string, name: string): Promise<ConfigMap>;
  secret(namespace: string, name: string): Promise<Secret>;
}

async function unlessMissing<T>(optional: boolean | undefined, object: Promise<T>): Promise<T | undefined> {
  try {
    return await object;
  } catch (error) {
    if (optional === true && isApiError(error, 'NotFound')) return undefined;
    throw error;
  }
}

export const decodeSecret = (value: string): Buffer => Buffer.from(value, 'base64');

interface Sources {
  readonly pod: Pod;
  readonly container: Container;
  readonly facts: DownwardFacts;
  readonly config: ConfigSource;
}

/** Undefined: the reference is optional and not there, so the variable is not set. */
async function referencedValue(from: EnvVarSource, sources: Sources): Promise<string | undefined> {
  const { pod, container, facts, config } = sources;
  const namespace = pod.metadata?.namespace ?? '';
  if (from.fieldRef !== undefined) return fieldValue(pod, from.fieldRef.fieldPath, facts);
  if (from.resourceFieldRef !== undefined) return resourceValue(pod, from.resourceFieldRef, facts, container);
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const map = await unlessMissing(optional, config.configMap(namespace, name));
    const value = map?.data?.[key];
    if (value === undefined && optional !== true)
      throw new Error(`couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
    return value;
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef;
    const secret = await unlessMissing(optional, config.secret(namespace, name));
    const value = secret?.data?.[key];
    if (value === undefined && optional !== true)
      throw new Error(`couldn't find key ${key} in Secret ${namespace}/${name}`);
    return value === undefined ? undefined : decodeSecret(value).toString();
  }
  return undefined;
}

async function addEnvFrom(into: Map<string, string>, { container, pod, config }: Sources): Promise<void> {
  const namespace = pod.metadata?.namespace ?? '';
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef !== undefined) {
      const map = await unlessMissing(configMapRef.optional, config.configMap(namespace, configMapRef.name ?? ''));
      for (const [key, value] of Object.entries(map?.data ?? {})) into.set(prefix + key, value);
    } else if (secretRef !== undefined) {
      const secret = await unlessMissing(secretRef.optional, config.secret(namespace, secretRef.name ?? ''));
      for (const [key, value] of Object.entries(secret?.data ?? {}))
        into.set(prefix + key, decodeSecret(value).toString());
    }
  }
}

/**
 * The environment of a container: `env` beats `envFrom`, which beats the variables of Services. Rejects with the message
 * that the container's CreateContainerConfigError carries.
 */
export async function containerEnvironment(
  sources: Sources & { readonly services: readonly Service[] },
): Promise<Map<string, string>> {
  const services = serviceEnvironment(sources.pod, sources.services);
  const own = new Map<string, string>();
  await addEnvFrom(own, sources);
  const known = (name: string): string | undefined => own.get(name) ?? services.get(name);
  for (const { name, value, valueFrom } of sources.container.env ?? []) {
    if (valueFrom === undefined) own.set(name, expand(value ?? '', known));
    else {
      const found = await referencedValue(valueFrom, sources);
      if (found !== undefined) own.set(name, found);
    }
  }
  for (const [name, value] of services) if (!own.has(name)) own.set(name, value);
  return own;
}
