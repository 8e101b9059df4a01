import { badRequest } from '../status-errors.ts';

/** Where a list goes on: the key (`namespace/name`) of the last object sent, and the revision all pages show. */
export interface ContinueToken {
  /** -1: go on with the newest state (an inconsistent list). */
  readonly revision: number;
  readonly after: string;
}

/** Kubernetes' form: base64url of `{"v":"meta.k8s.io/v1","rv":...,"start":"namespace/name\0"}`. */
export function encodeContinue(revision: number, after: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: `${after}\u0000` })).toString(
    'base64url',
  );
}

/** Fails with 400. */
export function decodeContinue(text: string): ContinueToken {
  const fail = (why: string) => badRequest(`continue key is not valid: ${why}`);
  let token: unknown;
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch (error) {
    throw fail(error instanceof Error ? error.message : String(error));
  }
  if (typeof token !== 'object' || token === null) throw fail('not an object');
  const { v, rv, start } = token as { v?: unknown; rv?: unknown; start?: unknown };
  if (v !== 'meta.k8s.io/v1') throw fail('server does not recognize this encoded version');
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0) {
    throw fail('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  }
  if (typeof start !== 'string' || start === '') throw fail('encoded start key empty (version meta.k8s.io/v1)');
  const after = start.endsWith('\u0000') ? start.slice(0, -1) : start;
  if (after.split('/').includes('..')) throw fail(start);
  return { revision: rv, after };
}
