/** The address in `4.3.2.1.in-addr.arpa` or in the nibbles of an `ip6.arpa` name; undefined: it is neither. */
export function addressOfReverseName(name: string): string | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (four !== null) {
    const bytes = four.slice(1).reverse();
    return bytes.every((byte) => Number(byte) <= 255) ? bytes.map(Number).join('.') : undefined;
  }
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  if (six === null) return undefined;
  const nibbles = six[1]!.split('.').slice(0, 32).reverse().join('');
  return canonical6(nibbles.match(/.{4}/g)!.map((word) => Number.parseInt(word, 16)));
}

/** RFC 5952: the longest run of zeros, of two words or more, is left out. */
function canonical6(words: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: readonly number[]) => part.map((word) => word.toString(16)).join(':');
  if (best.start < 0) return text(words);
  return `${text(words.slice(0, best.start))}::${text(words.slice(best.start + best.length))}`;
}
