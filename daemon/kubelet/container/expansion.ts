/**
 * Replaces `$(NAME)` by `lookup(NAME)`; a name that is not known stays as it is written, and `$$` stands for one `$`.
 * The rule of `env`, `command`, `args` and `subPathExpr`.
 */
export function expand(input: string, lookup: (name: string) => string | undefined): string {
  let out = '';
  for (let at = 0; at < input.length; at++) {
    const char = input[at];
    const next = input[at + 1];
    if (char !== '$' || next === undefined) {
      out += char;
    } else if (next === '$') {
      out += '$';
      at++;
    } else if (next === '(') {
      const end = input.indexOf(')', at + 2);
      if (end === -1) {
        // Not a reference after all.
        out += '$(';
        at++;
      } else {
        out += lookup(input.slice(at + 2, end)) ?? input.slice(at, end + 1);
        at = end;
      }
    } else {
      out += `$${next}`;
      at++;
    }
  }
  return out;
}
