import { isApiError } from '../../../apimachinery/api-error.ts';
import type { ValidatingAdmissionPolicy } from '../../../apimachinery/types/admissionregistration-v1.ts';
import type { Logger } from '../../../log/logger.ts';
import { CelCompileError } from '../../cel/environment.ts';
import { cloneObject } from '../../registry/clone-object.ts';
import type { Registry } from '../../registry/registry.ts';
import { admissionCompiler } from './match-conditions.ts';

/** Keeps `status.observedGeneration` and `status.typeChecking` of policies. Yields how to stop. */
export function keepPolicyStatus(registry: Registry, logger: Logger): () => void {
  const row = registry.require('admissionregistration.k8s.io', 'v1', 'validatingadmissionpolicies');
  const cache = registry.hub.cacheOf(row);
  const update = (name: string): void => {
    const policy = cache.get(name)?.object as ValidatingAdmissionPolicy | undefined;
    if (policy === undefined || policy.status?.observedGeneration === policy.metadata.generation) return;
    const warnings = typeWarnings(policy);
    registry.writes
      .update(
        { row, namespace: '', name, subresource: 'status' },
        (current) => {
          const next = cloneObject(current) as ValidatingAdmissionPolicy;
          next.status = {
            ...next.status,
            observedGeneration: policy.metadata.generation!,
            typeChecking: warnings.length === 0 ? {} : { expressionWarnings: warnings },
          };
          return next;
        },
        {
          identity: { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] },
          dryRun: false,
          fieldManager: 'kube-controller-manager',
          fieldValidation: 'Ignore',
          warn: () => undefined,
        },
      )
      .catch((error: unknown) => {
        if (isApiError(error, 'NotFound')) return;
        logger.warn({ err: error, policy: name }, 'cannot write the status of an admission policy');
      });
  };
  const stop = cache.subscribe((events) => {
    for (const { object } of events) update(object.name);
  });
  for (const stored of cache.list('')) update(stored.name);
  return stop;
}

function typeWarnings({ spec }: ValidatingAdmissionPolicy): { fieldRef: string; warning: string }[] {
  return (spec.validations ?? []).flatMap(({ expression }, index) => {
    try {
      admissionCompiler.compile(expression);
      return [];
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      return [{ fieldRef: `spec.validations[${index}].expression`, warning: error.message }];
    }
  });
}
