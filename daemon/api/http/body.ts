import { isMap, isScalar, isSeq, type Node, parseDocument } from 'yaml';
import { isCustomDefinition } from '../codec/custom-definitions.ts';
import { type RequestBody, unreadableBody } from '../codec/decode-body.ts';
import { decodeProtobuf, openEnvelope, ProtobufError } from '../codec/protobuf.ts';
import { badRequest, unsupportedMediaType } from '../status-errors.ts';
import type { Exchange } from './exchange.ts';

/** Largest request body, in bytes. */
export const maxBodyBytes = 3 * 1024 * 1024;

const protobufType = 'application/vnd.kubernetes.protobuf';
const bodyTypes = ['application/json', 'application/yaml', protobufType];
const customBodyTypes = bodyTypes.slice(0, 2);

/** The media type of a request's body without parameters; JSON when it says none. */
export function mediaTypeOf(exchange: Exchange): string {
  const header = exchange.headers['content-type'];
  if (header === undefined || header === '') return 'application/json';
  const semicolon = header.indexOf(';');
  return (semicolon === -1 ? header : header.slice(0, semicolon)).trim().toLowerCase();
}

/** Reads and parses a JSON or YAML body of an object of `kind`. Fails with 400, 413 or 415. */
export async function readObjectBody(
  exchange: Exchange,
  { kind, definition }: { readonly kind: string; readonly definition: string },
): Promise<RequestBody> {
  requireBodyType(exchange, isCustomDefinition(definition) ? customBodyTypes : bodyTypes);
  return parseBody(exchange, await exchange.readBody(maxBodyBytes), kind, definition);
}

/** As `readObjectBody`, of a request that may have none. */
export async function readOptionalBody(
  exchange: Exchange,
  { kind, definition }: { readonly kind: string; readonly definition: string },
): Promise<RequestBody | undefined> {
  if (exchange.headers['content-length'] === '0') return undefined;
  const bytes = await exchange.readBody(maxBodyBytes);
  if (bytes.length === 0) return undefined;
  requireBodyType(exchange, bodyTypes);
  return parseBody(exchange, bytes, kind, definition);
}

function requireBodyType(exchange: Exchange, accepted: readonly string[]): void {
  if (!accepted.includes(mediaTypeOf(exchange))) throw unsupportedMediaType(accepted);
}

function parseBody(exchange: Exchange, bytes: Buffer, kind: string, definition: string): RequestBody {
  const type = mediaTypeOf(exchange);
  if (type === protobufType) return parseProtobuf(bytes, kind, definition);
  const text = bytes.toString();
  if (type === 'application/yaml') return parseYaml(text, kind);
  return {
    value: parseJson(text, (why) => unreadableBody(kind, `couldn't get version/kind; json parse error: ${why}`, text)),
    text,
  };
}

function parseProtobuf(bytes: Buffer, kind: string, definition: string): RequestBody {
  try {
    const { apiVersion, kind: sent, raw } = openEnvelope(bytes);
    // Another kind's message is not ours to read: its name is enough for the refusal.
    const value = sent === '' || sent === kind ? decodeProtobuf(definition, raw) : {};
    return {
      value: { ...value, ...(apiVersion === '' ? {} : { apiVersion }), ...(sent === '' ? {} : { kind: sent }) },
    };
  } catch (error) {
    if (error instanceof ProtobufError) throw unreadableBody(kind, error.message, '');
    throw error;
  }
}

/** Parses JSON; `fail` makes the error of a message in the words of Go's decoder. */
export function parseJson(text: string, fail: (why: string) => Error): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail(goSyntaxError(text, error instanceof Error ? error.message : ''));
  }
  // 10,000 levels are Go's limit; ours is what recursion bears.
  if (depthBeyond(text, maxDepth)) throw fail('exceeded max depth');
  return value;
}

const maxDepth = 1000;

function depthBeyond(text: string, limit: number): boolean {
  if (text.length < limit * 2) return false;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 92) i++;
      else if (code === 34) inString = false;
    } else if (code === 34) inString = true;
    else if (code === 123 || code === 91) {
      if (++depth > limit) return true;
    } else if (code === 125 || code === 93) depth--;
  }
  return false;
}

function goSyntaxError(text: string, message: string): string {
  const position = /position (\d+)/.exec(message)?.[1];
  if (position === undefined || Number(position) >= text.length) return 'unexpected end of JSON input';
  const char = text[Number(position)]!;
  return `invalid character ${char === "'" ? `'\\''` : `'${char}'`} looking for beginning of value`;
}

export function parseYaml(text: string, kind: string): RequestBody {
  const trimmed = text.trimStart();
  if (trimmed.startsWith('{')) {
    try {
      return { value: JSON.parse(text), text };
    } catch {
      // Flow-style YAML that is no JSON: read as YAML below.
    }
  }
  const document = parseDocument(text, { uniqueKeys: false, schema: 'core', logLevel: 'silent' });
  const problem = document.errors[0];
  if (problem !== undefined) throw unreadableBody(kind, `yaml: ${problem.message.split('\n')[0]}`, text);
  const duplicates: string[] = [];
  let value: unknown;
  try {
    // Through text and back: aliases become copies, and one that holds itself is refused.
    value = JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: 100 })) ?? 'null');
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: yaml: ${error instanceof Error ? error.message : String(error)}`);
  }
  findDuplicates(document.contents, '', duplicates);
  return { value, duplicates };
}

function findDuplicates(node: unknown, path: string, found: string[]): void {
  if (isMap(node)) {
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const name = String(isScalar(key) ? key.value : key);
      const full = path === '' ? name : `${path}.${name}`;
      if (seen.has(name)) found.push(full);
      seen.add(name);
      findDuplicates(value, full, found);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      findDuplicates(item as Node, `${path}[${index}]`, found);
    });
  }
}
