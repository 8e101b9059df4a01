import { isApiError } from '../../apimachinery/api-error.ts';
import { makeControllerReference } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject, Resource } from '../../apimachinery/resource.ts';
import type { Pod, PodTemplateSpec } from '../../apimachinery/types/core-v1.ts';
import { pods } from '../../apimachinery/types/resources.ts';
import type { ControllerContext } from '../controller-context.ts';

/** A pod's name may have 253 characters; generateName adds five. */
const maxGenerateNameBase = 253 - 5;

/** The pod a workload's template describes, owned by `owner`, named by the API. */
export function podFromTemplate(template: PodTemplateSpec, owner: KubernetesObject, ownerResource: Resource): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const { namespace, name = '' } = owner.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(namespace === undefined ? {} : { namespace }),
      generateName: name.length + 1 > maxGenerateNameBase ? name : `${name}-`,
      labels: { ...labels },
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
      ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
      ownerReferences: [makeControllerReference(ownerResource, owner)],
    },
    spec: structuredClone(template.spec ?? { containers: [] }),
  };
}

/** The namespace is on its way out: creating in it can only fail, and is not worth an event or a retry. */
export function isNamespaceTerminating(error: unknown): boolean {
  return isApiError(error) && error.causes.some((cause) => cause.reason === 'NamespaceTerminating');
}

/** Creates and deletes pods for an owner, with the events that `kubectl describe` shows on it. */
export class PodControl {
  readonly #context: ControllerContext;
  readonly #ownerResource: Resource;

  constructor(context: ControllerContext, ownerResource: Resource) {
    this.#context = context;
    this.#ownerResource = ownerResource;
  }

  async create(owner: KubernetesObject, pod: Pod): Promise<Pod> {
    if (Object.keys(pod.metadata.labels ?? {}).length === 0) throw new Error('unable to create pods, no labels');
    try {
      const created = await this.#context.client.create(pods, pod);
      this.#event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
      return created;
    } catch (error) {
      if (!isNamespaceTerminating(error)) {
        this.#event(owner, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      }
      throw error;
    }
  }

  /** A pod that is not there any more throws its `NotFound`: its deletion will never be observed. */
  async delete(owner: KubernetesObject, pod: Pod): Promise<void> {
    const { namespace, name = '' } = pod.metadata;
    try {
      await this.#context.client.delete(
        pods,
        { ...(namespace === undefined ? {} : { namespace }), name },
        pod.metadata.uid === undefined ? {} : { preconditions: { uid: pod.metadata.uid } },
      );
      this.#event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    } catch (error) {
      if (!isApiError(error, 'NotFound')) {
        this.#event(owner, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
      }
      throw error;
    }
  }

  #event(owner: KubernetesObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.event(this.#ownerResource, owner, type, reason, message);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
