import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** A stored value that no key of the configuration opens. */
export class DecryptionError extends Error {
  override readonly name = 'DecryptionError';
}

/** One way to keep a value, with one key. `path`: the key it is stored under, which GCM binds it to. */
export interface Transformer {
  /** What its values begin with; empty: plain. */
  readonly prefix: string;
  seal(value: Buffer, path: Buffer): Buffer;
  open(sealed: Buffer, path: Buffer): Buffer;
}

export const identityTransformer: Transformer = { prefix: '', seal: (value) => value, open: (sealed) => sealed };

const nonceBytes = 12;
const tagBytes = 16;
const blockBytes = 16;

/** AES-GCM as Kubernetes stores it: `k8s:enc:aesgcm:v1:<key name>:`, nonce, ciphertext, tag. */
export function aesGcm(name: string, secret: Buffer): Transformer {
  const cipher = `aes-${secret.length * 8}-gcm` as 'aes-256-gcm';
  return {
    prefix: `k8s:enc:aesgcm:v1:${name}:`,
    seal(value, path) {
      const nonce = randomBytes(nonceBytes);
      const sealing = createCipheriv(cipher, secret, nonce).setAAD(path);
      return Buffer.concat([nonce, sealing.update(value), sealing.final(), sealing.getAuthTag()]);
    },
    open(sealed, path) {
      if (sealed.length < nonceBytes + tagBytes)
        throw new DecryptionError('the stored data was shorter than the required size');
      const opening = createDecipheriv(cipher, secret, sealed.subarray(0, nonceBytes)).setAAD(path);
      opening.setAuthTag(sealed.subarray(sealed.length - tagBytes));
      return Buffer.concat([opening.update(sealed.subarray(nonceBytes, sealed.length - tagBytes)), opening.final()]);
    },
  };
}

/** AES-CBC as Kubernetes stores it: `k8s:enc:aescbc:v1:<key name>:`, initialization vector, padded ciphertext. */
export function aesCbc(name: string, secret: Buffer): Transformer {
  const cipher = `aes-${secret.length * 8}-cbc`;
  return {
    prefix: `k8s:enc:aescbc:v1:${name}:`,
    seal(value) {
      const vector = randomBytes(blockBytes);
      const sealing = createCipheriv(cipher, secret, vector);
      return Buffer.concat([vector, sealing.update(value), sealing.final()]);
    },
    open(sealed) {
      const opening = createDecipheriv(cipher, secret, sealed.subarray(0, blockBytes));
      return Buffer.concat([opening.update(sealed.subarray(blockBytes)), opening.final()]);
    },
  };
}

/** Writes with the first, reads with whichever wrote: keys are rotated by putting a new one in front. */
export class Keyring {
  readonly #first: Transformer;
  readonly #all: readonly Transformer[];

  constructor(transformers: readonly [Transformer, ...Transformer[]]) {
    this.#first = transformers[0];
    this.#all = transformers;
  }

  seal(value: Buffer, path: Buffer): Buffer {
    const sealed = this.#first.seal(value, path);
    return this.#first.prefix === '' ? sealed : Buffer.concat([Buffer.from(this.#first.prefix), sealed]);
  }

  /** Throws a DecryptionError. */
  open(stored: Buffer, path: Buffer): Buffer {
    const isSealed = stored.subarray(0, 8).toString('latin1') === 'k8s:enc:';
    for (const { prefix, open } of this.#all) {
      if (prefix === '' ? isSealed : stored.subarray(0, prefix.length).toString('latin1') !== prefix) continue;
      try {
        return open(stored.subarray(prefix.length), path);
      } catch (error) {
        throw new DecryptionError(`${path.toString()}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    throw new DecryptionError(`${path.toString()}: no matching prefix found`);
  }
}
