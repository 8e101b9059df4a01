import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { formatTime } from '../../apimachinery/time.ts';
import type { SelfSubjectReview } from '../../apimachinery/types/authentication-v1.ts';
import type {
  LocalSubjectAccessReview,
  NonResourceRule,
  ResourceRule,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
} from '../../apimachinery/types/authorization-v1.ts';
import type { Identity } from '../../client/api-client.ts';
import type { ResourceApi, VirtualResource } from '../resource-api.ts';
import { badRequest, invalid } from '../status-errors.ts';
import type { Attributes } from './authorizer.ts';

const authorization = { group: 'authorization.k8s.io', version: 'v1' };

interface AccessSpec {
  readonly resourceAttributes?: {
    readonly namespace?: string;
    readonly verb?: string;
    readonly group?: string;
    readonly version?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly name?: string;
  };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
}

function attributesOf(identity: Identity, spec: AccessSpec, kind: string): Attributes {
  const { resourceAttributes: wanted, nonResourceAttributes: path } = spec;
  if ((wanted === undefined) === (path === undefined)) {
    throw invalid({ group: authorization.group, kind }, '', [
      {
        type: 'FieldValueInvalid',
        field: 'spec.resourceAttributes',
        detail: `Invalid value: null: ${wanted === undefined ? 'exactly one of nonResourceAttributes or resourceAttributes must be specified' : 'cannot be specified in combination with nonResourceAttributes'}`,
      },
    ]);
  }
  if (wanted === undefined) return { identity, verb: path!.verb ?? '', path: path!.path ?? '' };
  return {
    identity,
    verb: wanted.verb ?? '',
    resource: {
      group: wanted.group ?? '',
      version: wanted.version ?? '',
      resource: wanted.resource ?? '',
      subresource: wanted.subresource ?? '',
      namespace: wanted.namespace ?? '',
      name: wanted.name ?? '',
    },
  };
}

function answer(api: ResourceApi, attributes: Attributes) {
  const decision = api.authorizer.authorize(attributes);
  return { allowed: decision.allowed, ...(decision.reason === '' ? {} : { reason: decision.reason }) };
}

function subjectOf(spec: SubjectAccessReview['spec'], kind: string): Identity {
  if (!spec.user && (spec.groups ?? []).length === 0) {
    throw invalid({ group: authorization.group, kind }, '', [
      {
        type: 'FieldValueInvalid',
        field: 'spec.user',
        detail: 'Invalid value: "": at least one of user or group must be specified',
      },
    ]);
  }
  return {
    name: spec.user ?? '',
    groups: spec.groups ?? [],
    ...(spec.extra === undefined ? {} : { extra: spec.extra }),
  };
}

const subjectAccessReviews: VirtualResource = {
  kind: {
    ...authorization,
    kind: 'SubjectAccessReview',
    resource: 'subjectaccessreviews',
    namespaced: false,
    definition: 'io.k8s.api.authorization.v1.SubjectAccessReview',
  },
  async create({ api, body }) {
    const { spec } = body as SubjectAccessReview;
    const identity = subjectOf(spec ?? {}, 'SubjectAccessReview');
    return { ...body, status: answer(api, attributesOf(identity, spec ?? {}, 'SubjectAccessReview')) };
  },
};

const localSubjectAccessReviews: VirtualResource = {
  kind: {
    ...authorization,
    kind: 'LocalSubjectAccessReview',
    resource: 'localsubjectaccessreviews',
    namespaced: true,
    definition: 'io.k8s.api.authorization.v1.LocalSubjectAccessReview',
  },
  async create({ api, body, namespace }) {
    const { spec } = body as LocalSubjectAccessReview;
    if (spec?.resourceAttributes?.namespace !== namespace) {
      throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
    }
    const identity = subjectOf(spec ?? {}, 'LocalSubjectAccessReview');
    return { ...body, status: answer(api, attributesOf(identity, spec ?? {}, 'LocalSubjectAccessReview')) };
  },
};

const selfSubjectAccessReviews: VirtualResource = {
  kind: {
    ...authorization,
    kind: 'SelfSubjectAccessReview',
    resource: 'selfsubjectaccessreviews',
    namespaced: false,
    definition: 'io.k8s.api.authorization.v1.SelfSubjectAccessReview',
  },
  async create({ api, body, write }) {
    const { spec } = body as SelfSubjectAccessReview;
    return { ...body, status: answer(api, attributesOf(write.identity, spec ?? {}, 'SelfSubjectAccessReview')) };
  },
};

const selfSubjectRulesReviews: VirtualResource = {
  kind: {
    ...authorization,
    kind: 'SelfSubjectRulesReview',
    resource: 'selfsubjectrulesreviews',
    namespaced: false,
    definition: 'io.k8s.api.authorization.v1.SelfSubjectRulesReview',
  },
  async create({ api, body, write }) {
    const { spec } = body as SelfSubjectRulesReview;
    const namespace = spec?.namespace ?? '';
    if (namespace === '') throw badRequest('no namespace on request');
    const { rules, errors } = api.rbac.rulesFor(write.identity, namespace);
    const resourceRules: ResourceRule[] = [];
    const nonResourceRules: NonResourceRule[] = [];
    if (write.identity.groups.includes('system:masters')) {
      resourceRules.push({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] });
      nonResourceRules.push({ verbs: ['*'], nonResourceURLs: ['*'] });
    }
    for (const rule of rules) {
      if ((rule.resources ?? []).length > 0) {
        const { verbs, apiGroups, resources, resourceNames } = rule;
        resourceRules.push({ verbs, apiGroups, resources, ...(resourceNames === undefined ? {} : { resourceNames }) });
      }
      if ((rule.nonResourceURLs ?? []).length > 0) {
        nonResourceRules.push({ verbs: rule.verbs, nonResourceURLs: rule.nonResourceURLs });
      }
    }
    const status = {
      resourceRules,
      nonResourceRules,
      incomplete: errors.length > 0,
      ...(errors.length > 0 ? { evaluationError: errors.join(', ') } : {}),
    };
    return { ...body, status };
  },
};

const selfSubjectReviews: VirtualResource = {
  kind: {
    group: 'authentication.k8s.io',
    version: 'v1',
    kind: 'SelfSubjectReview',
    resource: 'selfsubjectreviews',
    namespaced: false,
    definition: 'io.k8s.api.authentication.v1.SelfSubjectReview',
  },
  async create({ body, write }) {
    const { name, uid, groups, extra } = write.identity;
    const review: SelfSubjectReview = {
      ...(body as KubernetesObject),
      metadata: { creationTimestamp: formatTime() },
      status: {
        userInfo: {
          username: name,
          ...(uid === undefined ? {} : { uid }),
          groups: [...groups],
          ...(extra === undefined ? {} : { extra: extra as Record<string, string[]> }),
        },
      },
    };
    return review;
  },
};

export const reviews: readonly VirtualResource[] = [
  subjectAccessReviews,
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  selfSubjectReviews,
];
