import type { Environment } from '@marcbachmann/cel-js';
import type { Identity } from '../../../client/api-client.ts';
import type { AuthorizerChain, Decision } from '../../authorization/authorizer.ts';
import type { AdmissionRequest } from '../admission.ts';

/** `authorizer` of CEL: asks whether someone may do something. */
export class CelAuthorizer {
  readonly chain: AuthorizerChain;
  readonly identity: Identity;
  /** The resource of the request itself. */
  requestResource: ResourceCheck | undefined;

  constructor(chain: AuthorizerChain, identity: Identity) {
    this.chain = chain;
    this.identity = identity;
  }
}

class PathCheck {
  readonly authorizer: CelAuthorizer;
  readonly path: string;

  constructor(authorizer: CelAuthorizer, path: string) {
    this.authorizer = authorizer;
    this.path = path;
  }
}

class GroupCheck {
  readonly authorizer: CelAuthorizer;
  readonly group: string;

  constructor(authorizer: CelAuthorizer, group: string) {
    this.authorizer = authorizer;
    this.group = group;
  }
}

interface ResourceFields {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

class ResourceCheck {
  readonly authorizer: CelAuthorizer;
  readonly fields: ResourceFields;

  constructor(authorizer: CelAuthorizer, fields: ResourceFields) {
    this.authorizer = authorizer;
    this.fields = fields;
  }

  with(change: Partial<ResourceFields>): ResourceCheck {
    return new ResourceCheck(this.authorizer, { ...this.fields, ...change });
  }
}

class Verdict {
  readonly decision: Decision;

  constructor(decision: Decision) {
    this.decision = decision;
  }
}

export function resourceCheckOf(authorizer: CelAuthorizer, request: AdmissionRequest): ResourceCheck {
  const { group, resource } = request.row.handle;
  const { subresource, namespace, name } = request;
  const check = new ResourceCheck(authorizer, { group, resource, subresource, namespace, name });
  authorizer.requestResource = check;
  return check;
}

const serviceAccount = ({ chain }: CelAuthorizer, namespace: string, name: string) =>
  new CelAuthorizer(chain, {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  });

/** The authorizer library of Kubernetes. */
export function registerAuthorizerFunctions(environment: Environment): void {
  const none = { group: '', resource: '', subresource: '', namespace: '', name: '' };
  environment
    .registerType('kubernetes.Decision', { ctor: Verdict, fields: {} })
    .registerType('kubernetes.PathCheck', { ctor: PathCheck, fields: {} })
    .registerType('kubernetes.ResourceCheck', { ctor: ResourceCheck, fields: {} })
    .registerType('kubernetes.GroupCheck', { ctor: GroupCheck, fields: {} })
    .registerType('kubernetes.Authorizer', {
      ctor: CelAuthorizer,
      fields: { requestResource: 'kubernetes.ResourceCheck' },
    })
    .registerFunction(
      'kubernetes.Authorizer.path(string): kubernetes.PathCheck',
      (authorizer: CelAuthorizer, path: string) => new PathCheck(authorizer, path),
    )
    .registerFunction(
      'kubernetes.Authorizer.group(string): kubernetes.GroupCheck',
      (authorizer: CelAuthorizer, group: string) => new GroupCheck(authorizer, group),
    )
    .registerFunction('kubernetes.Authorizer.serviceAccount(string, string): kubernetes.Authorizer', serviceAccount)
    .registerFunction(
      'kubernetes.GroupCheck.resource(string): kubernetes.ResourceCheck',
      ({ authorizer, group }: GroupCheck, resource: string) =>
        new ResourceCheck(authorizer, { ...none, group, resource }),
    )
    .registerFunction(
      'kubernetes.ResourceCheck.subresource(string): kubernetes.ResourceCheck',
      (check: ResourceCheck, subresource: string) => check.with({ subresource }),
    )
    .registerFunction(
      'kubernetes.ResourceCheck.namespace(string): kubernetes.ResourceCheck',
      (check: ResourceCheck, namespace: string) => check.with({ namespace }),
    )
    .registerFunction(
      'kubernetes.ResourceCheck.name(string): kubernetes.ResourceCheck',
      (check: ResourceCheck, name: string) => check.with({ name }),
    )
    .registerFunction(
      'kubernetes.ResourceCheck.check(string): kubernetes.Decision',
      ({ authorizer: { chain, identity }, fields }: ResourceCheck, verb: string) =>
        new Verdict(chain.authorize({ identity, verb, resource: { ...fields, version: '*' } })),
    )
    .registerFunction(
      'kubernetes.PathCheck.check(string): kubernetes.Decision',
      ({ authorizer: { chain, identity }, path }: PathCheck, verb: string) =>
        new Verdict(chain.authorize({ identity, verb, path })),
    )
    .registerFunction('kubernetes.Decision.allowed(): bool', ({ decision }: Verdict) => decision.allowed)
    .registerFunction('kubernetes.Decision.reason(): string', ({ decision }: Verdict) => decision.reason)
    .registerFunction('kubernetes.Decision.errored(): bool', () => false)
    .registerFunction('kubernetes.Decision.error(): string', () => '');
}
