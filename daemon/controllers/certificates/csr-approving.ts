import { formatTime } from '../../apimachinery/time.ts';
import type { SubjectAccessReview } from '../../apimachinery/types/authorization-v1.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import { certificatesigningrequests, subjectaccessreviews } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { hasCondition, type ParsedRequest, parseRequest, signerRules, signers } from './request.ts';

/** Requests that are approved without anyone asked, for those who may create such a subresource. */
const recognizers: readonly {
  readonly subresource: string;
  readonly recognizes: (request: CertificateSigningRequest, parsed: ParsedRequest) => boolean;
  readonly message: string;
}[] = [
  {
    subresource: 'selfnodeclient',
    recognizes: ({ spec }, parsed) => spec.username === parsed.commonName,
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  },
  {
    subresource: 'nodeclient',
    recognizes: () => true,
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
  },
];

/** Approves the client certificates of kubelets: a node that joins, and one that renews its own. */
export function startCertificateApproving(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('certificate_approving', workers, async (name) => {
    const request = informer.lister.get(name);
    if (request === undefined || !isUndecided(request)) return;
    const parsed = parseRequest(request);
    if (signerRules[signers.kubeletClient](parsed, request.spec.usages ?? []) !== undefined) return;
    const candidates = recognizers.filter(({ recognizes }) => recognizes(request, parsed));
    for (const { subresource, message } of candidates) {
      if (!(await mayCreate(request, subresource))) continue;
      const approved = {
        type: 'Approved',
        status: 'True',
        reason: 'AutoApproved',
        message,
        lastUpdateTime: formatTime(context.now()),
      };
      const status = { ...request.status, conditions: [...(request.status?.conditions ?? []), approved] };
      await context.client.update(certificatesigningrequests, { ...request, status }, { subresource: 'approval' });
      return;
    }
    const tried = candidates.map(({ subresource }) => subresource);
    context.logger.info({ request: name, tried }, 'recognized, but the subject access review was not approved');
  });
  const changed = (request: CertificateSigningRequest): void => {
    if (isUndecided(request)) queue.add(request.metadata.name ?? '');
  };
  const informer = context.watch(certificatesigningrequests, { onAdd: changed, onUpdate: changed });

  async function mayCreate({ spec }: CertificateSigningRequest, subresource: string): Promise<boolean> {
    const { username, uid, groups, extra } = spec;
    const review: SubjectAccessReview = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        ...(username === undefined ? {} : { user: username }),
        ...(uid === undefined ? {} : { uid }),
        ...(groups === undefined ? {} : { groups }),
        ...(extra === undefined ? {} : { extra }),
        resourceAttributes: {
          group: 'certificates.k8s.io',
          resource: 'certificatesigningrequests',
          verb: 'create',
          subresource,
          version: '*',
        },
      },
    };
    return (await context.client.review(subjectaccessreviews, review)).status?.allowed ?? false;
  }
}

function isUndecided(request: CertificateSigningRequest): boolean {
  if (request.spec.signerName !== signers.kubeletClient || (request.status?.certificate ?? '') !== '') return false;
  return !hasCondition(request, 'Approved') && !hasCondition(request, 'Denied');
}
