import { isApiError } from '../../apimachinery/api-error.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import { certificatesigningrequests } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';
import { hasCondition } from './request.ts';
import { endOf } from './sign.ts';

const hourMs = 3600_000;
/** How long a decided request stays, and one that nobody has decided about. */
const decidedMs = hourMs;
const pendingMs = 24 * hourMs;

/** Deletes requests that have been answered or forgotten. */
export function startCertificateCleaner(context: ControllerContext, workers: number): void {
  const queue = context.reconciler('certificate_cleaner', workers, async (name) => {
    const request = informer.lister.get(name);
    if (request === undefined) return;
    const due = dueAt(request);
    if (due === undefined) return;
    const wait = due - context.now().getTime();
    if (wait > 0) {
      // Timers reach only so far; asked again, the answer is the same.
      queue.addAfter(name, Math.min(wait, pendingMs));
      return;
    }
    const { uid } = request.metadata;
    try {
      await context.client.delete(
        certificatesigningrequests,
        { name },
        { ...(uid === undefined ? {} : { preconditions: { uid } }) },
      );
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error;
    }
  });
  const changed = (request: CertificateSigningRequest): void => queue.add(request.metadata.name ?? '');
  const informer = context.watch(certificatesigningrequests, { onAdd: changed, onUpdate: changed });
}

/** In milliseconds since 1970. */
function dueAt(request: CertificateSigningRequest): number | undefined {
  const { conditions = [], certificate = '' } = request.status ?? {};
  const decided = (type: string) => {
    const condition = conditions.find((entry) => entry.type === type);
    const at = parseTime(condition?.lastUpdateTime ?? condition?.lastTransitionTime);
    return at === undefined ? [] : [at + decidedMs];
  };
  const created = parseTime(request.metadata.creationTimestamp);
  const dues: number[] = [...decided('Denied'), ...decided('Failed')];
  if (certificate !== '') {
    const end = endOf(Buffer.from(certificate, 'base64').toString('utf8'));
    dues.push(...decided('Approved'), ...(end === undefined ? [] : [end]));
  } else if (!hasCondition(request, 'Denied') && created !== undefined) {
    dues.push(created + pendingMs);
  }
  return dues.length === 0 ? undefined : Math.min(...dues);
}
