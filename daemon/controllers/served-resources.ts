import type { Resource } from '../apimachinery/resource.ts';
import * as handles from '../apimachinery/types/resources.ts';

const all = Object.values(handles) as readonly Resource[];

/** Every built-in resource that can be listed, once each: stable versions come first in the generated table. */
export const builtInResources: readonly Resource[] = oncePerResource(
  all.filter((resource) => resource.verbs.includes('list') && resource.resource !== 'componentstatuses'),
);

function oncePerResource(resources: readonly Resource[]): Resource[] {
  const seen = new Set<string>();
  return resources.filter((resource) => {
    const name = `${resource.group}/${resource.resource}`;
    return !seen.has(name) && seen.add(name);
  });
}

/** Both groups of Event show the same objects; one is enough. */
export function isSecondEventsGroup(resource: Resource): boolean {
  return resource.group === 'events.k8s.io' && resource.resource === 'events';
}
