import { humanDuration } from '../../apimachinery/duration.ts';
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from '../../apimachinery/types/admissionregistration-v1.ts';
import type { CustomResourceDefinition } from '../../apimachinery/types/apiextensions-v1.ts';
import type { APIService } from '../../apimachinery/types/apiregistration-v1.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import type { Lease } from '../../apimachinery/types/coordination-v1.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../apimachinery/types/flowcontrol-v1.ts';
import type { RuntimeClass } from '../../apimachinery/types/node-v1.ts';
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding, Subject } from '../../apimachinery/types/rbac-v1.ts';
import type { ResourceClaim, ResourceSlice } from '../../apimachinery/types/resource-v1.ts';
import type { PriorityClass } from '../../apimachinery/types/scheduling-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { ageColumn, createdAtColumn, integer, nameColumn, orNone, text } from './column.ts';

export const roleColumns: readonly Column<Role | ClusterRole>[] = [nameColumn, createdAtColumn];

function subjects(kind: string, show: (subject: Subject) => string) {
  return (binding: RoleBinding | ClusterRoleBinding) =>
    (binding.subjects ?? [])
      .filter((subject) => subject.kind === kind)
      .map(show)
      .join(', ');
}

export const roleBindingColumns: readonly Column<RoleBinding | ClusterRoleBinding>[] = [
  nameColumn,
  text('Role', ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  ageColumn,
  text(
    'Users',
    subjects('User', ({ name }) => name),
    true,
  ),
  text(
    'Groups',
    subjects('Group', ({ name }) => name),
    true,
  ),
  text(
    'ServiceAccounts',
    subjects('ServiceAccount', ({ namespace = '', name }) => `${namespace}/${name}`),
    true,
  ),
];

/** `Approved,Issued`; a decision wins over `Pending`. */
function requestCondition({ status }: CertificateSigningRequest): string {
  const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) === true;
  const words = [has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending'];
  if (has('Failed')) words.push('Failed');
  if (status?.certificate) words.push('Issued');
  return words.join(',');
}

export const certificateRequestColumns: readonly Column<CertificateSigningRequest>[] = [
  nameColumn,
  ageColumn,
  text('SignerName', ({ spec }) => orNone(spec.signerName)),
  text('Requestor', ({ spec }) => spec.username ?? ''),
  text('RequestedDuration', ({ spec }) =>
    spec.expirationSeconds === undefined ? '<none>' : humanDuration(spec.expirationSeconds * 1000),
  ),
  text('Condition', requestCondition),
];

export const leaseColumns: readonly Column<Lease>[] = [
  nameColumn,
  text('Holder', ({ spec }) => spec?.holderIdentity ?? ''),
  ageColumn,
];

export const priorityClassColumns: readonly Column<PriorityClass>[] = [
  nameColumn,
  integer('Value', ({ value }) => value ?? 0),
  { name: 'Global-Default', type: 'boolean', priority: 0, cell: ({ globalDefault }) => globalDefault ?? false },
  ageColumn,
  text('PreemptionPolicy', ({ preemptionPolicy }) => preemptionPolicy ?? ''),
];

export const runtimeClassColumns: readonly Column<RuntimeClass>[] = [
  nameColumn,
  text('Handler', ({ handler }) => handler),
  ageColumn,
];

export const webhookColumns: readonly Column<ValidatingWebhookConfiguration | MutatingWebhookConfiguration>[] = [
  nameColumn,
  integer('Webhooks', ({ webhooks }) => webhooks?.length ?? 0),
  ageColumn,
];

const paramKind = (kind: ParamKind | undefined) =>
  kind === undefined ? '<unset>' : `${kind.apiVersion ?? ''}/${kind.kind ?? ''}`;

export const validatingPolicyColumns: readonly Column<ValidatingAdmissionPolicy>[] = [
  nameColumn,
  integer('Validations', ({ spec }) => spec?.validations?.length ?? 0),
  text('ParamKind', ({ spec }) => paramKind(spec?.paramKind)),
  ageColumn,
];

export const mutatingPolicyColumns: readonly Column<MutatingAdmissionPolicy>[] = [
  nameColumn,
  integer('Mutations', ({ spec }) => spec?.mutations?.length ?? 0),
  text('ParamKind', ({ spec }) => paramKind(spec?.paramKind)),
  ageColumn,
];

function paramRef(reference: ParamRef | undefined): string {
  if (reference === undefined) return '<unset>';
  if (!reference.name) return '<selector>';
  return reference.namespace ? `${reference.namespace}/${reference.name}` : reference.name;
}

export const policyBindingColumns: readonly Column<
  ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding
>[] = [
  nameColumn,
  text('PolicyName', ({ spec }) => spec?.policyName ?? ''),
  text('ParamRef', ({ spec }) => paramRef(spec?.paramRef)),
  ageColumn,
];

export const customResourceDefinitionColumns: readonly Column<CustomResourceDefinition>[] = [
  nameColumn,
  createdAtColumn,
];

export const apiServiceColumns: readonly Column<APIService>[] = [
  nameColumn,
  text('Service', ({ spec }) => {
    const service = spec?.service;
    return service === undefined ? 'Local' : `${service.namespace}/${service.name}`;
  }),
  text('Available', ({ status }) => {
    const available = status?.conditions?.find(({ type }) => type === 'Available');
    if (available === undefined) return 'Unknown';
    return available.status === 'True' ? 'True' : `${available.status} (${available.reason ?? ''})`;
  }),
  ageColumn,
];

export const flowSchemaColumns: readonly Column<FlowSchema>[] = [
  nameColumn,
  text('PriorityLevel', ({ spec }) => spec.priorityLevelConfiguration.name),
  integer('MatchingPrecedence', ({ spec }) => spec.matchingPrecedence ?? 0),
  text('DistinguisherMethod', ({ spec }) => orNone(spec.distinguisherMethod?.type)),
  ageColumn,
  text('MissingPL', ({ status }) => status?.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?'),
];

export const priorityLevelColumns: readonly Column<PriorityLevelConfiguration>[] = [
  nameColumn,
  text('Type', ({ spec }) => spec.type),
  text('NominalConcurrencyShares', ({ spec }) =>
    String(spec.limited?.nominalConcurrencyShares ?? spec.exempt?.nominalConcurrencyShares ?? '<none>'),
  ),
  text('Queues', ({ spec }) => String(spec.limited?.limitResponse?.queuing?.queues ?? '<none>')),
  text('HandSize', ({ spec }) => String(spec.limited?.limitResponse?.queuing?.handSize ?? '<none>')),
  text('QueueLengthLimit', ({ spec }) => String(spec.limited?.limitResponse?.queuing?.queueLengthLimit ?? '<none>')),
  ageColumn,
];

function claimState({ metadata, status }: ResourceClaim): string {
  const states = [];
  if (metadata.deletionTimestamp !== undefined) states.push('deleted');
  if (status?.allocation !== undefined) states.push('allocated');
  if ((status?.reservedFor?.length ?? 0) > 0) states.push('reserved');
  return states.length === 0 ? 'pending' : states.join(',');
}

export const resourceClaimColumns: readonly Column<ResourceClaim>[] = [
  nameColumn,
  text('State', claimState),
  ageColumn,
];

export const resourceSliceColumns: readonly Column<ResourceSlice>[] = [
  nameColumn,
  text('Node', ({ spec }) => spec?.nodeName ?? (spec?.allNodes === true ? '<all>' : '<unset>')),
  text('Driver', ({ spec }) => spec?.driver ?? ''),
  text('Pool', ({ spec }) => spec?.pool?.name ?? ''),
  ageColumn,
];
