import { randomBytes } from 'node:crypto';

const suffixLength = 5;
/** Kubernetes' alphabet for generated names: no vowels, nothing that looks alike. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const maxBase = 63 - suffixLength;

export function randomSuffix(length: number): string {
  let suffix = '';
  for (const byte of randomBytes(length)) suffix += suffixAlphabet[byte % suffixAlphabet.length];
  return suffix;
}

/** A name from `generateName`. */
export function generatedName(generateName: string): string {
  return `${generateName.slice(0, maxBase)}${randomSuffix(suffixLength)}`;
}
