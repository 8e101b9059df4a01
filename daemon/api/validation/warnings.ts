import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { CronJob } from '../../apimachinery/types/batch-v1.ts';
import type { PersistentVolume, PodTemplateSpec, Service } from '../../apimachinery/types/core-v1.ts';
import type { Ingress } from '../../apimachinery/types/networking-v1.ts';
import { podWarnings, templateWarnings } from './pod-warnings.ts';

type Warn = (object: never) => string[];

interface WithTemplate {
  spec: { template?: PodTemplateSpec };
}

const ofTemplate = ({ spec }: WithTemplate) => templateWarnings(spec?.template, 'spec.template');

function ofService({ spec }: Service): string[] {
  const warnings: string[] = [];
  if (spec.type !== 'ExternalName' && spec.externalName) {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (spec.type === 'ExternalName' && (spec.externalIPs?.length ?? 0) > 0) {
    warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  }
  if (spec.type !== 'ExternalName' && spec.clusterIP === 'None') {
    if (spec.loadBalancerIP) warnings.push('spec.loadBalancerIP is ignored for headless services');
    if ((spec.externalIPs?.length ?? 0) > 0) warnings.push('spec.externalIPs is ignored for headless services');
    if (spec.sessionAffinity !== 'None') warnings.push('spec.SessionAffinity is ignored for headless services');
  }
  return warnings;
}

function ofIngress({ metadata, spec }: Ingress): string[] {
  if (metadata.annotations?.['kubernetes.io/ingress.class'] === undefined || spec.ingressClassName !== undefined)
    return [];
  return ['annotation "kubernetes.io/ingress.class" is deprecated, please use \'spec.ingressClassName\' instead'];
}

function ofVolume({ spec }: PersistentVolume): string[] {
  if (spec.persistentVolumeReclaimPolicy !== 'Recycle') return [];
  return [
    'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
  ];
}

const byResource: Readonly<Record<string, Warn>> = {
  '/endpoints': () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
  '/persistentvolumes': ofVolume,
  '/pods': podWarnings,
  '/podtemplates': ({ template }: { template?: PodTemplateSpec }) => templateWarnings(template, 'template'),
  '/replicationcontrollers': ofTemplate,
  '/services': ofService,
  'apps/daemonsets': ofTemplate,
  'apps/deployments': ofTemplate,
  'apps/replicasets': ofTemplate,
  'apps/statefulsets': ofTemplate,
  'batch/cronjobs': ({ spec }: CronJob) =>
    templateWarnings(spec.jobTemplate.spec?.template, 'spec.jobTemplate.spec.template'),
  'batch/jobs': ofTemplate,
  'networking.k8s.io/ingresses': ofIngress,
};

/** Finalizers of the system itself need no domain. */
const systemFinalizers = new Set(['foregroundDeletion', 'orphan', 'kubernetes']);

/** What a client is told of an object that is accepted. */
export function warningsOf({ group, resource }: Resource): (object: KubernetesObject) => string[] {
  const own = byResource[`${group}/${resource}`] as ((object: KubernetesObject) => string[]) | undefined;
  return (object) => {
    const warnings = own?.(object) ?? [];
    for (const finalizer of object.metadata?.finalizers ?? []) {
      if (finalizer.includes('/') || systemFinalizers.has(finalizer)) continue;
      warnings.push(
        `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
      );
    }
    return warnings;
  };
}
