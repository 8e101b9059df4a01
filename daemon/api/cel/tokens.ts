/** What an expression begins with: white space, a string, a dotted name, or one character. */
export function nextToken(text: string): string {
  const match =
    /^(?:\s+|[rRbB]{0,2}"""[\s\S]*?"""|[rRbB]{0,2}'''[\s\S]*?'''|[rR]"[^"]*"|[rR]'[^']*'|[bB]?"(?:[^"\\]|\\[\s\S])*"|[bB]?'(?:[^'\\]|\\[\s\S])*'|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)/.exec(
      text,
    );
  return match?.[0] ?? text[0]!;
}
