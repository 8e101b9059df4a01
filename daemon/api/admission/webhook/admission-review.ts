import { randomUUID } from 'node:crypto';
import { apiVersionOf, type KubernetesObject } from '../../../apimachinery/resource.ts';
import type { Status } from '../../../apimachinery/types/meta-v1.ts';
import { isJsonObject } from '../../customresources/json-schema.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import type { AdmissionRequest } from '../admission.ts';

/** `request` of an AdmissionReview, which is also `request` in CEL. */
export interface ReviewRequest {
  readonly uid: string;
  readonly kind: object;
  readonly resource: object;
  readonly [field: string]: unknown;
}

/** What a webhook answers. */
export interface ReviewResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: Status;
  readonly patch?: string;
  readonly patchType?: string;
  readonly warnings?: readonly string[];
}

const optionsKinds: Readonly<Record<string, string>> = {
  CREATE: 'CreateOptions',
  UPDATE: 'UpdateOptions',
  DELETE: 'DeleteOptions',
};

/** An object in the version of another row of the same storage. */
export function inVersionOf(
  row: ResourceRow,
  shown: ResourceRow,
  object: KubernetesObject | undefined,
): KubernetesObject | undefined {
  if (object === undefined) return undefined;
  const stored = row === shown ? object : (row.stored?.toStored(object) ?? object);
  const view = row === shown ? object : (shown.stored?.fromStored(stored) ?? stored);
  return { ...view, apiVersion: apiVersionOf(shown.handle), kind: shown.handle.kind };
}

export function reviewRequest(request: AdmissionRequest, shown: ResourceRow): ReviewRequest {
  const { row, identity, operation, dryRun } = request;
  const kindOf = ({ handle: { group, version, kind } }: ResourceRow) => ({ group, version, kind });
  const resourceOf = ({ handle: { group, version, resource } }: ResourceRow) => ({ group, version, resource });
  const { subresource, name, namespace } = request;
  return {
    uid: randomUUID(),
    kind: kindOf(shown),
    resource: resourceOf(shown),
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: kindOf(row),
    requestResource: resourceOf(row),
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    ...(name === '' ? {} : { name }),
    ...(namespace === '' ? {} : { namespace }),
    operation,
    userInfo: {
      username: identity.name,
      ...(identity.uid === undefined ? {} : { uid: identity.uid }),
      groups: identity.groups,
      ...(identity.extra === undefined ? {} : { extra: identity.extra }),
    },
    object: inVersionOf(row, shown, request.object) ?? null,
    oldObject: inVersionOf(row, shown, request.old) ?? null,
    dryRun,
    options: {
      kind: optionsKinds[operation] ?? '',
      apiVersion: 'meta.k8s.io/v1',
      ...(dryRun ? { dryRun: ['All'] } : {}),
    },
  };
}

/** Checks an answer; throws with the words after `received invalid webhook response: `. */
export function readResponse(answer: unknown, uid: string, version: string): ReviewResponse {
  if (!isJsonObject(answer)) throw new Error('webhook response is no object');
  const expected = `admission.k8s.io/${version}`;
  if (answer['apiVersion'] !== expected || answer['kind'] !== 'AdmissionReview') {
    throw new Error(
      `expected webhook response of ${expected}, Kind=AdmissionReview, got ${String(answer['apiVersion'] ?? '')}, Kind=${String(answer['kind'] ?? '')}`,
    );
  }
  const { response } = answer;
  if (!isJsonObject(response)) throw new Error('webhook response was absent');
  const { patch, patchType } = response;
  if (response['uid'] !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'] ?? '')}`);
  if (patch && patchType === undefined) throw new Error('webhook returned response.patch but not response.patchType');
  if (patch && patchType !== 'JSONPatch') {
    throw new Error(`webhook returned invalid response.patchType of ${JSON.stringify(patchType)}`);
  }
  return response as unknown as ReviewResponse;
}
