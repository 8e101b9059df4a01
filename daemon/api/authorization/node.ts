import type { Pod } from '../../apimachinery/types/core-v1.ts';
import type { CacheEvent, ResourceCache } from '../registry/resource-cache.ts';
import type { Attributes, Authorizer, Decision } from './authorizer.ts';
import { nodeRules } from './default-roles.ts';
import { ruleAllows } from './policy-rule.ts';

const userPrefix = 'system:node:';
const nodesGroup = 'system:nodes';

/** Name of the node that a user is, or undefined. */
export function nodeNameOf(identity: {
  readonly name: string;
  readonly groups: readonly string[];
}): string | undefined {
  if (!identity.groups.includes(nodesGroup) || !identity.name.startsWith(userPrefix)) return undefined;
  return identity.name.slice(userPrefix.length);
}

/** Objects that a pod makes its node need, as `resource namespace/name`. */
function referencesOf(pod: Pod): string[] {
  const { spec, metadata } = pod;
  const namespace = metadata?.namespace ?? '';
  const found = new Set<string>();
  const add = (resource: string, name: string | undefined): void => {
    if (name) found.add(`${resource} ${namespace}/${name}`);
  };
  add('serviceaccounts', spec?.serviceAccountName);
  for (const secret of spec?.imagePullSecrets ?? []) add('secrets', secret.name);
  for (const volume of spec?.volumes ?? []) {
    add('secrets', volume.secret?.secretName);
    add('configmaps', volume.configMap?.name);
    add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral !== undefined) add('persistentvolumeclaims', `${metadata?.name}-${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      add('secrets', source.secret?.name);
      add('configmaps', source.configMap?.name);
    }
    add('secrets', volume.csi?.nodePublishSecretRef?.name);
  }
  const containers = [
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
    ...(spec?.ephemeralContainers ?? []),
  ];
  for (const container of containers) {
    for (const source of container.envFrom ?? []) {
      add('secrets', source.secretRef?.name);
      add('configmaps', source.configMapRef?.name);
    }
    for (const variable of container.env ?? []) {
      add('secrets', variable.valueFrom?.secretKeyRef?.name);
      add('configmaps', variable.valueFrom?.configMapKeyRef?.name);
    }
  }
  return [...found];
}

const viaPods: ReadonlySet<string> = new Set(['secrets', 'configmaps', 'persistentvolumeclaims']);

/**
 * Kubelets: what the role `system:node` says, but of secrets, config maps, claims and service-account tokens only those that
 * a pod bound to the node refers to.
 */
export class NodeAuthorizer implements Authorizer {
  /** Node, then reference, then the number of its pods that hold it. */
  readonly #references = new Map<string, Map<string, number>>();
  readonly #pods: ResourceCache;

  constructor(pods: ResourceCache) {
    this.#pods = pods;
    pods.subscribe((events) => this.#onPods(events));
    pods.onReset(() => this.#load());
    this.#load();
  }

  authorize(attributes: Attributes): Decision | undefined {
    const node = nodeNameOf(attributes.identity);
    if (node === undefined) return undefined;
    const { resource, verb } = attributes;
    if (resource !== undefined && resource.group === '') {
      if (viaPods.has(resource.resource) && resource.subresource === '') return this.#viaPods(node, attributes);
      if (resource.resource === 'serviceaccounts' && resource.subresource === 'token') {
        if (verb !== 'create') return denied('can only create tokens for individual service accounts');
        return this.#related(node, `serviceaccounts ${resource.namespace}/${resource.name}`);
      }
    }
    return nodeRules.some((rule) => ruleAllows(rule, attributes)) ? { allowed: true, reason: '' } : undefined;
  }

  #viaPods(node: string, { verb, resource }: Attributes): Decision {
    const { resource: kind, namespace, fieldSelector } = resource!;
    if (verb !== 'get' && verb !== 'list' && verb !== 'watch') return denied('can only read resources of this type');
    if (kind === 'persistentvolumeclaims' && verb !== 'get')
      return denied('can only get individual resources of this type');
    const name = resource!.name || /(?:^|,)metadata\.name==?([^,]+)/.exec(fieldSelector ?? '')?.[1] || '';
    if (name === '' || namespace === '') return denied('No Object name found');
    return this.#related(node, `${kind} ${namespace}/${name}`);
  }

  #related(node: string, reference: string): Decision {
    if ((this.#references.get(node)?.get(reference) ?? 0) > 0) return { allowed: true, reason: '' };
    return denied(`no relationship found between node '${node}' and this object`);
  }

  #load(): void {
    this.#references.clear();
    for (const { object } of this.#pods.list('')) this.#count(object as Pod, 1);
  }

  #onPods(events: readonly CacheEvent[]): void {
    for (const event of events) {
      if (event.previous !== undefined) this.#count(event.previous.object as Pod, -1);
      if (event.type !== 'DELETED') this.#count(event.object.object as Pod, 1);
    }
  }

  #count(pod: Pod, by: 1 | -1): void {
    const node = pod.spec?.nodeName;
    if (!node) return;
    let references = this.#references.get(node);
    if (references === undefined) {
      references = new Map();
      this.#references.set(node, references);
    }
    for (const reference of referencesOf(pod)) {
      const count = (references.get(reference) ?? 0) + by;
      if (count > 0) references.set(reference, count);
      else references.delete(reference);
    }
  }
}

function denied(reason: string): Decision {
  return { allowed: false, reason };
}
