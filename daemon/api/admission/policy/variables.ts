import type { Namespace } from '../../../apimachinery/types/core-v1.ts';
import type { AuthorizerChain } from '../../authorization/authorizer.ts';
import { toCel } from '../../cel/environment.ts';
import type { Registry } from '../../registry/registry.ts';
import type { ResourceRow } from '../../resources/resource-row.ts';
import type { AdmissionRequest } from '../admission.ts';
import { inVersionOf, reviewRequest } from '../webhook/admission-review.ts';
import { CelAuthorizer, resourceCheckOf } from './authorizer-functions.ts';

export type Variables = Readonly<Record<string, unknown>>;

/** What expressions of webhooks and policies can look at. */
export class AdmissionVariables {
  readonly #registry: Registry;
  readonly #authorizer: AuthorizerChain;

  constructor(registry: Registry, authorizer: AuthorizerChain) {
    this.#registry = registry;
    this.#authorizer = authorizer;
  }

  of(request: AdmissionRequest, shown: ResourceRow): Variables {
    const { row, namespace, identity } = request;
    const { object: _object, oldObject: _old, ...about } = reviewRequest(request, shown);
    const namespaces = this.#registry.hub.cacheOf(this.#registry.require('', 'v1', 'namespaces'));
    const found = row.handle.namespaced ? (namespaces.get(namespace)?.object as Namespace | undefined) : undefined;
    const authorizer = new CelAuthorizer(this.#authorizer, identity);
    resourceCheckOf(authorizer, request);
    return {
      object: toCel(inVersionOf(row, shown, request.object) ?? null),
      oldObject: toCel(inVersionOf(row, shown, request.old) ?? null),
      request: toCel(about),
      namespaceObject: toCel(found ?? null),
      authorizer,
    };
  }
}
