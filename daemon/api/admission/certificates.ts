// Needed by @peculiar/x509's dependency injection before it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import type { AuthorizerChain } from '../authorization/authorizer.ts';
import { forbidden } from '../status-errors.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const resources = ['certificatesigningrequests.certificates.k8s.io'];
const clientSigner = 'kubernetes.io/kube-apiserver-client';
const privilegedGroup = 'system:masters';

/** Whether the user may do `verb` for a signer: by its name, or for its whole domain (`example.com/*`). */
function maySign(authorizer: AuthorizerChain, { identity }: AdmissionRequest, verb: string, signer: string): boolean {
  const allowed = (name: string) =>
    authorizer.authorize({
      identity,
      verb,
      resource: {
        group: 'certificates.k8s.io',
        version: '*',
        resource: 'signers',
        subresource: '',
        namespace: '',
        name,
      },
    }).allowed;
  return allowed(signer) || allowed(`${signer.slice(0, signer.indexOf('/'))}/*`);
}

/** Only those who may `approve` for a signer decide about its requests. */
export const certificateApproval = (authorizer: () => AuthorizerChain): AdmissionPlugin => ({
  name: 'CertificateApproval',
  operations: ['UPDATE'],
  resources,
  validate(request) {
    if (request.subresource !== 'approval') return;
    const { signerName } = (request.old as CertificateSigningRequest).spec;
    if (maySign(authorizer(), request, 'approve', signerName)) return;
    throw refused(request, `user not permitted to approve requests with signerName ${JSON.stringify(signerName)}`);
  },
});

/** Only those who may `sign` for a signer put a certificate into its requests. */
export const certificateSigning = (authorizer: () => AuthorizerChain): AdmissionPlugin => ({
  name: 'CertificateSigning',
  operations: ['UPDATE'],
  resources,
  validate(request) {
    if (request.subresource !== 'status') return;
    const before = request.old as CertificateSigningRequest;
    const { status } = request.object as CertificateSigningRequest;
    if (status?.certificate === before.status?.certificate) return;
    const { signerName } = before.spec;
    if (maySign(authorizer(), request, 'sign', signerName)) return;
    throw refused(request, `user not permitted to sign requests with signerName ${JSON.stringify(signerName)}`);
  },
});

/** No certificate makes anyone an administrator beyond the reach of RBAC. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  operations: ['CREATE'],
  resources,
  validate(request) {
    const { spec } = request.object as CertificateSigningRequest;
    if (spec.signerName !== clientSigner) return;
    let organizations: readonly string[];
    try {
      const parsed = new x509.Pkcs10CertificateRequest(Buffer.from(spec.request, 'base64').toString('utf8'));
      organizations = parsed.subjectName.getField('O');
    } catch (error) {
      throw refused(request, `unable to parse csr: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (!organizations.includes(privilegedGroup)) return;
    throw refused(request, `use of ${clientSigner} signer with ${privilegedGroup} group is not allowed`);
  },
};

function refused({ row, name, object }: AdmissionRequest, why: string): Error {
  return forbidden(row.handle, name || (object?.metadata?.name ?? ''), why);
}
