/** 32-bit FNV-1a of bytes or of a string's UTF-8, unsigned; `seed` continues an earlier hash. */
export function fnv32a(data: string | Uint8Array, seed = 0x811c9dc5): number {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
  let hash = seed;
  for (const byte of bytes) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}

/** No vowels and no digits that read as one: a suffix never spells a word. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** Replaces each byte by a letter that is safe in a name (`rand.SafeEncodeString`). */
export function safeEncodeString(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded += alphabet[byte % alphabet.length];
  }
  return encoded;
}

/** `length` random characters that are safe in a name: the suffix that `generateName` gets has 5. */
export function randomSuffix(length: number, random: () => number = Math.random): string {
  let suffix = '';
  for (let i = 0; i < length; i++) {
    suffix += alphabet[Math.floor(random() * alphabet.length)];
  }
  return suffix;
}

/**
 * The hash of a value in the form of `pod-template-hash` and of ControllerRevision names: equal for equal values whatever
 * the order of their keys, different for each `collisionCount`. The letters differ from those of other
 * implementations, which hash a memory dump of their own types.
 */
export function computeHash(value: unknown, collisionCount?: number): string {
  let hash = fnv32a(stableStringify(value));
  if (collisionCount !== undefined) {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(collisionCount >>> 0);
    hash = fnv32a(bytes, hash);
  }
  return safeEncodeString(String(hash));
}

/** JSON with keys in order and without undefined members: equal for deeply equal values. */
export function stableStringify(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => stableStringify(item ?? null)).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, member]) => `${JSON.stringify(key)}:${stableStringify(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
