import { controllerOf } from '../../apimachinery/owner-reference.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { Informer } from '../../client/informer.ts';

const byController = 'controller';

/** Indexes objects (once, whoever asks first) by the uid of their controller, and those that have none by their namespace. */
export function indexByController<T extends KubernetesObject>(informer: Informer<T>): void {
  informer.addIndex(byController, (object) => {
    const reference = controllerOf(object);
    return [reference === undefined ? `orphans/${object.metadata?.namespace}` : reference.uid];
  });
}

export function controlledBy<T extends KubernetesObject>(informer: Informer<T>, uid: string): readonly T[] {
  return informer.lister.byIndex(byController, uid);
}

export function orphansIn<T extends KubernetesObject>(
  informer: Informer<T>,
  namespace: string | undefined,
): readonly T[] {
  return informer.lister.byIndex(byController, `orphans/${namespace}`);
}

/** What an owner may claim: what it controls already, and the orphans of its namespace. */
export function claimCandidates<T extends KubernetesObject>(informer: Informer<T>, owner: KubernetesObject): T[] {
  const { uid = '', namespace } = owner.metadata ?? {};
  return [...controlledBy(informer, uid), ...orphansIn(informer, namespace)];
}
