import { formatTime } from '../../apimachinery/time.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import { equalJson } from '../patch/json-value.ts';
import type { WriteContext } from './resource-row.ts';
import { keepSpec, keepStatus, setOrDelete } from './status-separation.ts';

type Condition = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>[number];

/** Who asks is the server's to write. */
export function prepareRequestForCreate(request: CertificateSigningRequest, { identity }: WriteContext): void {
  const { spec } = request;
  spec.username = identity.name;
  setOrDelete(spec, 'uid', identity.uid);
  spec.groups = [...identity.groups];
  if (identity.extra === undefined) delete spec.extra;
  else spec.extra = Object.fromEntries(Object.entries(identity.extra).map(([key, values]) => [key, [...values]]));
  request.status = {};
}

export function prepareRequestForUpdate(request: CertificateSigningRequest, old: CertificateSigningRequest): void {
  keepSpec(request, old);
  keepStatus(request, old);
}

const isDecision = ({ type }: Condition) => type === 'Approved' || type === 'Denied';

/** `approval`: only the conditions Approved and Denied change; `status`: everything else of the status. */
export function prepareRequestApproval(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
  context: WriteContext,
): void {
  const asked = request.status?.conditions ?? [];
  keepSpec(request, old);
  const kept = (old.status?.conditions ?? []).filter((condition) => !isDecision(condition));
  request.status = { ...old.status, conditions: [...kept, ...asked.filter(isDecision)] };
  stampConditions(request, old, context);
}

export function prepareRequestStatus(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
  context: WriteContext,
): void {
  keepSpec(request, old);
  const decisions = (old.status?.conditions ?? []).filter(isDecision);
  const others = (request.status?.conditions ?? []).filter((condition) => !isDecision(condition));
  const conditions = [...decisions, ...others];
  request.status = { ...request.status, ...(conditions.length > 0 ? { conditions } : {}) };
  if (conditions.length === 0) delete request.status.conditions;
  stampConditions(request, old, context);
}

function stampConditions(request: CertificateSigningRequest, old: CertificateSigningRequest, { now }: WriteContext) {
  for (const condition of request.status?.conditions ?? []) {
    const before = old.status?.conditions?.find((other) => other.type === condition.type);
    if (before === undefined || !equalJson(before, condition)) condition.lastUpdateTime ??= formatTime(now);
    condition.lastTransitionTime ??=
      before !== undefined && before.status === condition.status ? before.lastTransitionTime : formatTime(now);
  }
}
