import { formatTime } from '../../apimachinery/time.ts';
import type { TokenRequest, TokenReview } from '../../apimachinery/types/authentication-v1.ts';
import type { Pod, ServiceAccount } from '../../apimachinery/types/core-v1.ts';
import type { BoundObject, ServiceAccountTokens } from '../authentication/service-account-token.ts';
import { nodeNameOf } from '../authorization/node.ts';
import type { CreatedSubresource, SubresourceCreate, VirtualResource } from '../resource-api.ts';
import { badRequest, conflict, forbidden, invalid, notFound } from '../status-errors.ts';

const authentication = { group: 'authentication.k8s.io', version: 'v1' };
const minSeconds = 600;
const maxSeconds = 2 ** 32;
const defaultSeconds = 3600;
/** What a pod's projected volume asks for; such tokens live a year so that old clients that never re-read them go on. */
const extendedFrom = 3607;
const extendedSeconds = 365 * 24 * 3600;

const boundResources = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' } as const;

/** `serviceaccounts/token`: a signed token for a service account, bound to an object when asked. */
export function tokenRequests(tokens: ServiceAccountTokens, apiAudiences: readonly string[]): CreatedSubresource {
  return {
    kind: { ...authentication, kind: 'TokenRequest', definition: 'io.k8s.api.authentication.v1.TokenRequest' },
    create: (request) => issue(request, tokens, apiAudiences),
  };
}

async function issue(
  { api, row, namespace, name, body, write }: SubresourceCreate,
  tokens: ServiceAccountTokens,
  apiAudiences: readonly string[],
): Promise<object> {
  const request = body as TokenRequest;
  const account = (await api.registry.reads.get(row, namespace, name)).object as ServiceAccount;
  if (request.metadata?.name && request.metadata.name !== name) {
    throw badRequest(`the name of the object (${request.metadata.name}) does not match the name on the URL (${name})`);
  }
  const seconds = request.spec?.expirationSeconds ?? defaultSeconds;
  const wrongExpiry = (why: string) =>
    invalid({ group: authentication.group, kind: 'TokenRequest' }, name, [
      { type: 'FieldValueInvalid', field: 'spec.expirationSeconds', detail: `Invalid value: ${seconds}: ${why}` },
    ]);
  if (seconds < minSeconds) throw wrongExpiry('may not specify a duration less than 10 minutes');
  if (seconds > maxSeconds) throw wrongExpiry('may not specify a duration larger than 2^32 seconds');
  const audiences = request.spec?.audiences?.length ? request.spec.audiences : apiAudiences;
  const reference = request.spec?.boundObjectRef;
  // A kubelet gets tokens for what runs on its node alone, and only as long as that is there.
  const requester = nodeNameOf(write.identity);
  if (requester !== undefined) {
    if (reference?.apiVersion !== 'v1' || reference.kind !== 'Pod' || !reference.name) {
      throw forbidden(row.handle, name, 'node requested token not bound to a pod');
    }
    if (!reference.uid) throw forbidden(row.handle, name, 'node requested token with a pod binding without a uid');
  }
  let bound: BoundObject | undefined;
  let node: { name: string; uid: string } | undefined;
  if (reference !== undefined) {
    const kind = reference.kind as keyof typeof boundResources;
    const resource = boundResources[kind];
    if (resource === undefined) {
      throw badRequest(
        `cannot bind token to object of type ${reference.apiVersion ?? ''}, Kind=${reference.kind ?? ''}`,
      );
    }
    const boundRow = api.registry.require('', 'v1', resource);
    const stored = await api.registry.reads.get(boundRow, kind === 'Node' ? '' : namespace, reference.name ?? '');
    const uid = stored.object.metadata?.uid ?? '';
    if (reference.uid && reference.uid !== uid) {
      throw conflict(
        boundRow.handle,
        reference.name ?? '',
        `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    bound = { kind, name: reference.name ?? '', uid };
    if (kind === 'Pod') {
      const pod = stored.object as Pod;
      if ((pod.spec?.serviceAccountName || 'default') !== name) {
        throw badRequest(
          `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
        );
      }
      const nodeName = pod.spec?.nodeName;
      if (requester !== undefined && nodeName !== requester) {
        throw forbidden(row.handle, name, 'node requested token bound to a pod scheduled on a different node');
      }
      if (nodeName) {
        const found = api.registry.objects.cached(api.registry.require('', 'v1', 'nodes'), nodeName);
        node = { name: nodeName, uid: found?.object.metadata?.uid ?? '' };
      }
    }
  }
  if (account.metadata?.uid === undefined) throw notFound(row.handle, name);
  const extended =
    seconds === extendedFrom && bound?.kind === 'Pod' && apiAudiences.some((audience) => audiences.includes(audience));
  const { token, expiresAt } = await tokens.sign({
    namespace,
    name,
    uid: account.metadata.uid,
    audiences,
    expiresInSeconds: extended ? extendedSeconds : seconds,
    ...(bound === undefined ? {} : { bound }),
    ...(node === undefined ? {} : { node }),
  });
  const told = extended ? new Date(Date.now() + seconds * 1000) : expiresAt;
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: formatTime() },
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: reference ?? null },
    status: { token, expirationTimestamp: formatTime(told) },
  };
}

/** `tokenreviews`: who a token is, and for which of the asked audiences it counts. */
export function tokenReviews(tokens: ServiceAccountTokens, apiAudiences: readonly string[]): VirtualResource {
  return {
    kind: {
      ...authentication,
      kind: 'TokenReview',
      resource: 'tokenreviews',
      namespaced: false,
      definition: 'io.k8s.api.authentication.v1.TokenReview',
    },
    async create({ body }) {
      const review = body as TokenReview;
      const token = review.spec?.token ?? '';
      if (token === '') throw badRequest('token is required for TokenReview in authentication');
      const wanted = review.spec?.audiences?.length ? review.spec.audiences : apiAudiences;
      const verified = await tokens.verify(token);
      const audiences = verified?.audiences.filter((audience) => wanted.includes(audience)) ?? [];
      if (verified === undefined || audiences.length === 0) {
        return { ...review, status: { user: {}, error: 'invalid bearer token' } };
      }
      const { name, uid, groups, extra } = verified.identity;
      return {
        ...review,
        status: { authenticated: true, user: { username: name, uid, groups, extra }, audiences },
      };
    },
  };
}
