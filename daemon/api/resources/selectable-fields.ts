import type { Job } from '../../apimachinery/types/batch-v1.ts';
import type { CertificateSigningRequest } from '../../apimachinery/types/certificates-v1.ts';
import type {
  Event as CoreEvent,
  Namespace,
  Node,
  ObjectReference,
  Pod,
  Secret,
  Service,
} from '../../apimachinery/types/core-v1.ts';
import type { Event } from '../../apimachinery/types/events-v1.ts';
import type { ResourceSlice } from '../../apimachinery/types/resource-v1.ts';

type Fields = Readonly<Record<string, string>>;

export const podFields = ({ spec, status }: Pod): Fields => ({
  'spec.nodeName': spec.nodeName ?? '',
  'spec.restartPolicy': spec.restartPolicy ?? '',
  'spec.schedulerName': spec.schedulerName ?? '',
  'spec.serviceAccountName': spec.serviceAccountName ?? '',
  'spec.hostNetwork': String(spec.hostNetwork ?? false),
  'status.phase': status?.phase ?? '',
  'status.podIP': status?.podIP ?? '',
  'status.nominatedNodeName': status?.nominatedNodeName ?? '',
});

export const nodeFields = ({ spec }: Node): Fields => ({ 'spec.unschedulable': String(spec.unschedulable ?? false) });

export const namespaceFields = ({ metadata, status }: Namespace): Fields => ({
  'status.phase': status?.phase ?? '',
  name: metadata.name ?? '',
});

export const secretFields = ({ type }: Secret): Fields => ({ type: type ?? '' });

export const serviceFields = ({ spec }: Service): Fields => ({
  'spec.clusterIP': spec.clusterIP ?? '',
  'spec.type': spec.type ?? '',
});

export const replicaFields = ({ status }: { status?: { replicas?: number } }): Fields => ({
  'status.replicas': String(status?.replicas ?? 0),
});

export const jobFields = ({ status }: Job): Fields => ({ 'status.successful': String(status?.succeeded ?? 0) });

export const requestFields = ({ spec }: CertificateSigningRequest): Fields => ({ 'spec.signerName': spec.signerName });

export const sliceFields = ({ spec }: ResourceSlice): Fields => ({
  'spec.nodeName': spec?.nodeName ?? '',
  'spec.driver': spec?.driver ?? '',
});

function referenceFields(prefix: string, reference: ObjectReference | undefined): Record<string, string> {
  return {
    [`${prefix}.kind`]: reference?.kind ?? '',
    [`${prefix}.namespace`]: reference?.namespace ?? '',
    [`${prefix}.name`]: reference?.name ?? '',
    [`${prefix}.uid`]: reference?.uid ?? '',
    [`${prefix}.apiVersion`]: reference?.apiVersion ?? '',
    [`${prefix}.resourceVersion`]: reference?.resourceVersion ?? '',
    [`${prefix}.fieldPath`]: reference?.fieldPath ?? '',
  };
}

export const coreEventFields = (event: CoreEvent): Fields => ({
  ...referenceFields('involvedObject', event.involvedObject),
  reason: event.reason ?? '',
  reportingComponent: event.reportingComponent ?? '',
  source: event.source?.component || event.reportingComponent || '',
  type: event.type ?? '',
});

export const eventFields = (event: Event): Fields => ({
  ...referenceFields('regarding', event.regarding),
  reason: event.reason ?? '',
  reportingController: event.reportingController ?? '',
  type: event.type ?? '',
});
