/**
 * `JSON.parse` keeps the last of two equal keys and says nothing; `fieldValidation` must report them. Each key of a JSON
 * text is followed by exactly one colon outside strings, so counting colons tells cheaply whether the slow search below
 * is needed at all.
 */
export function countKeysInText(text: string): number {
  let count = 0;
  let position = 0;
  for (;;) {
    const quote = text.indexOf('"', position);
    const end = quote === -1 ? text.length : quote;
    for (let i = position; i < end; i++) if (text.charCodeAt(i) === 58) count++;
    if (quote === -1) return count;
    position = endOfString(text, quote);
  }
}

/** The position after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code === 92) i += 2;
    else if (code === 34) return i + 1;
    else i++;
  }
  return text.length;
}

/** Paths of keys that occur again in the same object of a JSON text that parses: `spec.replicas`, `spec.ports[0].port`. */
export function duplicateKeys(text: string): string[] {
  const duplicates: string[] = [];
  let position = 0;

  const skipSpace = (): void => {
    while (position < text.length && /\s/.test(text[position]!)) position++;
  };
  const readValue = (path: string): void => {
    skipSpace();
    const char = text[position];
    if (char === '{') readObject(path);
    else if (char === '[') readArray(path);
    else if (char === '"') position = endOfString(text, position);
    else while (position < text.length && !/[,\]}\s]/.test(text[position]!)) position++;
  };
  const readObject = (path: string): void => {
    const seen = new Set<string>();
    position++;
    for (;;) {
      skipSpace();
      if (text[position] === '}' || position >= text.length) break;
      if (text[position] === ',') {
        position++;
        continue;
      }
      const start = position;
      position = endOfString(text, start);
      const key = JSON.parse(text.slice(start, position)) as string;
      const keyPath = path === '' ? key : `${path}.${key}`;
      if (seen.has(key) && !duplicates.includes(keyPath)) duplicates.push(keyPath);
      seen.add(key);
      skipSpace();
      position++; // the colon
      readValue(keyPath);
    }
    position++;
  };
  const readArray = (path: string): void => {
    position++;
    for (let index = 0; ; ) {
      skipSpace();
      if (text[position] === ']' || position >= text.length) break;
      if (text[position] === ',') {
        position++;
        index++;
        continue;
      }
      readValue(`${path}[${index}]`);
    }
    position++;
  };

  readValue('');
  return duplicates;
}
