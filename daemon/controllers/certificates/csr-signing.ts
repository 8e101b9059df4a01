import { formatTime } from '../../apimachinery/time.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import { certificatesigningrequests } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { hasCondition, parseRequest, type SignerName, signerRules } from './request.ts';
import { signRequest } from './sign.ts';

/** Gives approved requests of Kubernetes' own signers their certificate; one that breaks its signer's rules fails. */
export function startCertificateSigning(context: ControllerContext, workers: number): void {
  const { signingCa } = context.settings;
  if (signingCa === undefined) return;
  const queue = context.reconciler('certificate_signing', workers, async (name) => {
    const request = informer.lister.get(name);
    if (request === undefined || !awaitsSigning(request)) return;
    const { signerName, usages = [], expirationSeconds } = request.spec;
    const rule = signerRules[signerName as SignerName];
    if (rule === undefined) return;
    const parsed = parseRequest(request);
    const problem = rule(parsed, usages);
    const now = context.now();
    let status: CertificateSigningRequest['status'];
    if (problem === undefined) {
      const certificate = await signRequest(signingCa, parsed, usages, expirationSeconds, now);
      status = { ...request.status, certificate: Buffer.from(certificate).toString('base64') };
    } else {
      const failed = {
        type: 'Failed',
        status: 'True',
        reason: 'SignerValidationFailure',
        message: problem,
        lastUpdateTime: formatTime(now),
      };
      status = { ...request.status, conditions: [...(request.status?.conditions ?? []), failed] };
    }
    await context.client.update(certificatesigningrequests, { ...request, status }, { subresource: 'status' });
  });
  const changed = (request: CertificateSigningRequest): void => {
    if (awaitsSigning(request)) queue.add(request.metadata.name ?? '');
  };
  const informer = context.watch(certificatesigningrequests, { onAdd: changed, onUpdate: changed });
}

function awaitsSigning(request: CertificateSigningRequest): boolean {
  const isDone = (request.status?.certificate ?? '') !== '' || hasCondition(request, 'Failed');
  return !isDone && hasCondition(request, 'Approved') && !hasCondition(request, 'Denied');
}
