// Needed by @peculiar/x509's dependency injection before it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';

export const signers = {
  apiClient: 'kubernetes.io/kube-apiserver-client',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
  kubeletServing: 'kubernetes.io/kubelet-serving',
} as const;

export type SignerName = (typeof signers)[keyof typeof signers];

const nodeGroup = 'system:nodes';
const nodeUser = 'system:node:';

/** A PKCS#10 request as signers judge it. */
export interface ParsedRequest {
  readonly pkcs10: x509.Pkcs10CertificateRequest;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly names: readonly { readonly type: string; readonly value: string }[];
}

/** Throws when `spec.request` is no PKCS#10 request in PEM. */
export function parseRequest(request: CertificateSigningRequest): ParsedRequest {
  const pkcs10 = new x509.Pkcs10CertificateRequest(Buffer.from(request.spec.request, 'base64').toString('utf8'));
  const names = pkcs10.extensions
    .filter((extension) => extension instanceof x509.SubjectAlternativeNameExtension)
    .flatMap((extension) => extension.names.items.map(({ type, value }) => ({ type, value })));
  return {
    pkcs10,
    commonName: pkcs10.subjectName.getField('CN')[0] ?? '',
    organizations: pkcs10.subjectName.getField('O'),
    names,
  };
}

export function hasCondition(request: CertificateSigningRequest, type: string): boolean {
  return (
    request.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
  );
}

const nameProblems: readonly { readonly type: string; readonly problem: string }[] = [
  { type: 'dns', problem: 'DNS subjectAltNames are not allowed' },
  { type: 'email', problem: 'Email subjectAltNames are not allowed' },
  { type: 'ip', problem: 'IP subjectAltNames are not allowed' },
  { type: 'url', problem: 'URI subjectAltNames are not allowed' },
];

function forbiddenName({ names }: ParsedRequest, allowed: readonly string[] = []): string | undefined {
  return nameProblems.find(({ type }) => !allowed.includes(type) && names.some((name) => name.type === type))?.problem;
}

/** Encipherment is for RSA keys alone, so it may be left out. */
function usageProblem(usages: readonly string[], purpose: string): string | undefined {
  const required = ['digital signature', 'key encipherment', purpose].sort();
  const given = new Set(usages);
  const has = required.filter((usage) => given.has(usage) || usage === 'key encipherment');
  const others = [...given].filter((usage) => !required.includes(usage));
  return has.length === required.length && others.length === 0
    ? undefined
    : `usages did not match [${required.join(' ')}]`;
}

function nodeProblem({ commonName, organizations }: ParsedRequest): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== nodeGroup) return 'subject organization is not system:nodes';
  return commonName.startsWith(nodeUser) ? undefined : 'subject common name does not begin with system:node:';
}

/** Why a signer does not sign a request; undefined: it does. Kubernetes' rules for its own signers. */
export const signerRules: Readonly<
  Record<SignerName, (request: ParsedRequest, usages: readonly string[]) => string | undefined>
> = {
  [signers.apiClient]: (_request, usages) => {
    const other = usages.find((usage) => !['digital signature', 'key encipherment', 'client auth'].includes(usage));
    if (other !== undefined) return `invalid usage for client certificate: ${other}`;
    return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth';
  },
  [signers.kubeletClient]: (request, usages) =>
    nodeProblem(request) ?? forbiddenName(request) ?? usageProblem(usages, 'client auth'),
  [signers.kubeletServing]: (request, usages) => {
    if (!request.names.some(({ type }) => type === 'dns' || type === 'ip')) {
      return nodeProblem(request) ?? 'DNS or IP subjectAltName is required';
    }
    return nodeProblem(request) ?? forbiddenName(request, ['dns', 'ip']) ?? usageProblem(usages, 'server auth');
  },
};
