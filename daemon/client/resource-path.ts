import type { Resource } from '../apimachinery/resource.ts';

export interface ResourcePath {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** The URL path of a resource's collection, of one object, or of a subresource of it. */
export function resourcePath(resource: Resource, { namespace, name, subresource }: ResourcePath = {}): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  const part = subresource ? `/${subresource}` : '';
  return `${root}${scope}/${resource.resource}${object}${part}`;
}

/** `?a=1&b=x` of what is there; empty when nothing is. */
export function queryString(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '' && value !== false) {
      query.set(name, String(value));
    }
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
