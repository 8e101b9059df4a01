import { status } from '@grpc/grpc-js';

/** What the shell sees. Listed in docs/balsactl.md; scripts may rely on them. */
export const exitCodes = {
  ok: 0,
  /** The server refused the request, or part of it. */
  refused: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** What was named is not there. */
  notFound: 3,
  /** Not allowed, or not known. */
  forbidden: 4,
  /** No server answers. */
  unavailable: 5,
} as const;

interface GrpcFailure {
  readonly code: status;
  readonly details: string;
}

const rows: Partial<Record<status, { exit: number; hint?: string }>> = {
  [status.NOT_FOUND]: { exit: exitCodes.notFound, hint: 'see what there is with: balsactl get <resource> -A' },
  [status.PERMISSION_DENIED]: {
    exit: exitCodes.forbidden,
    hint: 'this certificate may not do that: use another --kubeconfig, or bind a role to its user',
  },
  [status.UNAUTHENTICATED]: {
    exit: exitCodes.forbidden,
    hint: 'this certificate is not known to the cluster: check --kubeconfig',
  },
  [status.UNAVAILABLE]: {
    exit: exitCodes.unavailable,
    hint: 'is balsad running there? name another server with --server <host>:<port>',
  },
  [status.DEADLINE_EXCEEDED]: {
    exit: exitCodes.unavailable,
    hint: 'the server is busy or has lost its quorum: balsactl status',
  },
  [status.INVALID_ARGUMENT]: { exit: exitCodes.refused },
  [status.ABORTED]: { exit: exitCodes.refused, hint: 'somebody else owns this: repeat with --force to take it over' },
};

/** Prints why a command failed and what to do next; returns the exit code. */
export function explainFailure(error: unknown): number {
  const failure = error as Partial<GrpcFailure>;
  if (typeof failure.code !== 'number' || failure.details === undefined) {
    process.stderr.write(`balsactl: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.refused;
  }
  const row = rows[failure.code] ?? { exit: exitCodes.refused };
  process.stderr.write(`balsactl: ${failure.details}\n`);
  if (row.hint !== undefined) process.stderr.write(`hint: ${row.hint}\n`);
  return row.exit;
}
