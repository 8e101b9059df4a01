import type { ConfigMap, Secret } from '../../apimachinery/types/core-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import { type Errors, forbidden, immutableMessage, invalid, invalidAll, required, tooLong } from './field-error.ts';
import { configMapKey } from './names.ts';

/** Of a ConfigMap or Secret, in bytes. */
const maxDataSize = 1024 * 1024;

export function validateConfigMap(configMap: ConfigMap, errors: Errors): void {
  let size = 0;
  for (const key in configMap.data) {
    invalidAll(errors, `data[${key}]`, key, configMapKey(key));
    if (configMap.binaryData !== undefined && key in configMap.binaryData) {
      invalid(errors, `data[${key}]`, key, 'duplicate of key present in binaryData');
    }
    size += Buffer.byteLength(configMap.data[key]!);
  }
  for (const key in configMap.binaryData) {
    invalidAll(errors, `binaryData[${key}]`, key, configMapKey(key));
    size += Buffer.byteLength(configMap.binaryData[key]!, 'base64');
  }
  if (size > maxDataSize) tooLong(errors, '[]', maxDataSize);
}

export function validateConfigMapUpdate(configMap: ConfigMap, old: ConfigMap, errors: Errors): void {
  if (old.immutable === true) {
    if (configMap.immutable !== true) forbidden(errors, 'immutable', 'field is immutable when `immutable` is set');
    for (const name of ['data', 'binaryData'] as const) {
      if (!equalJson(configMap[name] ?? {}, old[name] ?? {})) {
        forbidden(errors, name, 'field is immutable when `immutable` is set');
      }
    }
  }
  validateConfigMap(configMap, errors);
}

const serviceAccountName = 'kubernetes.io/service-account.name';

function requireKey(secret: Secret, key: string, errors: Errors): string | undefined {
  const value = secret.data?.[key];
  if (value === undefined) required(errors, `data[${key}]`);
  return value;
}

function requireJson(secret: Secret, key: string, errors: Errors): void {
  const value = requireKey(secret, key, errors);
  if (value === undefined) return;
  try {
    JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    invalid(errors, `data[${key}]`, '<secret contents redacted>', error.message);
  }
}

const secretTypes: Readonly<Record<string, (secret: Secret, errors: Errors) => void>> = {
  'kubernetes.io/service-account-token': ({ metadata }, errors) => {
    if (!metadata.annotations?.[serviceAccountName]) {
      required(errors, `metadata.annotations[${serviceAccountName}]`);
    }
  },
  'kubernetes.io/dockercfg': (secret, errors) => requireJson(secret, '.dockercfg', errors),
  'kubernetes.io/dockerconfigjson': (secret, errors) => requireJson(secret, '.dockerconfigjson', errors),
  'kubernetes.io/basic-auth': (secret, errors) => {
    if (secret.data?.['username'] !== undefined || secret.data?.['password'] !== undefined) return;
    required(errors, 'data[username]');
    required(errors, 'data[password]');
  },
  'kubernetes.io/ssh-auth': (secret, errors) => {
    if (!secret.data?.['ssh-privatekey']) required(errors, 'data[ssh-privatekey]');
  },
  'kubernetes.io/tls': (secret, errors) => {
    requireKey(secret, 'tls.crt', errors);
    requireKey(secret, 'tls.key', errors);
  },
};

export function validateSecret(secret: Secret, errors: Errors): void {
  let size = 0;
  for (const key in secret.data) {
    invalidAll(errors, `data[${key}]`, key, configMapKey(key));
    size += Buffer.byteLength(secret.data[key]!, 'base64');
  }
  if (size > maxDataSize) tooLong(errors, 'data', maxDataSize);
  secretTypes[secret.type ?? '']?.(secret, errors);
}

export function validateSecretUpdate(secret: Secret, old: Secret, errors: Errors): void {
  if (secret.type !== old.type) invalid(errors, 'type', secret.type, immutableMessage);
  if (old.immutable === true) {
    if (secret.immutable !== true) forbidden(errors, 'immutable', 'field is immutable when `immutable` is set');
    if (!equalJson(secret.data ?? {}, old.data ?? {}))
      forbidden(errors, 'data', 'field is immutable when `immutable` is set');
  }
  validateSecret(secret, errors);
}
