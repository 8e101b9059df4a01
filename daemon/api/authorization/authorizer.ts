import type { Identity } from '../../client/api-client.ts';
import { forbidden } from '../status-errors.ts';

/** What a request wants to do, as `SubjectAccessReview` names it. */
export interface Attributes {
  readonly identity: Identity;
  readonly verb: string;
  /** Set for a request of a resource; else `path` is. */
  readonly resource?: {
    readonly group: string;
    readonly version: string;
    readonly resource: string;
    readonly subresource: string;
    /** Empty: cluster-scoped, or all namespaces. */
    readonly namespace: string;
    readonly name: string;
    /** Of a list, watch or deletecollection: the node authorizer looks at it. */
    readonly fieldSelector?: string;
  };
  readonly path?: string;
}

export type Decision = { readonly allowed: boolean; readonly reason: string };

export interface Authorizer {
  /** `undefined`: no opinion; the next authorizer is asked. */
  authorize(attributes: Attributes): Decision | undefined;
}

/** Asks authorizers in turn; the first that allows wins, and all reasons are told when none does. */
export class AuthorizerChain {
  readonly #authorizers: readonly Authorizer[];

  constructor(authorizers: readonly Authorizer[]) {
    this.#authorizers = authorizers;
  }

  authorize(attributes: Attributes): Decision {
    const reasons: string[] = [];
    for (const authorizer of this.#authorizers) {
      const decision = authorizer.authorize(attributes);
      if (decision?.allowed) return decision;
      if (decision !== undefined && decision.reason !== '') reasons.push(decision.reason);
    }
    return { allowed: false, reason: reasons.join('\n') };
  }

  /** Fails with the 403 that Kubernetes words. */
  require(attributes: Attributes): void {
    const decision = this.authorize(attributes);
    if (!decision.allowed) throw forbiddenError(attributes, decision.reason);
  }
}

export function forbiddenError({ identity, verb, resource, path }: Attributes, reason: string): Error {
  const why = reason === '' ? '' : `: ${reason}`;
  const user = `User ${JSON.stringify(identity.name)}`;
  if (resource === undefined) {
    return forbidden(
      { group: '', resource: '' },
      '',
      `${user} cannot ${verb} path ${JSON.stringify(path ?? '')}${why}`,
    );
  }
  const what = resource.subresource === '' ? resource.resource : `${resource.resource}/${resource.subresource}`;
  const scope =
    resource.namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(resource.namespace)}`;
  return forbidden(
    resource,
    resource.name,
    `${user} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(resource.group)} ${scope}${why}`,
  );
}

/** `system:masters` may do everything. */
export const privilegedGroups: Authorizer = {
  authorize: ({ identity }) => (identity.groups.includes('system:masters') ? { allowed: true, reason: '' } : undefined),
};
