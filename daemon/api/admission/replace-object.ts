import type { KubernetesObject } from '../../apimachinery/resource.ts';
import type { AdmissionRequest } from './admission.ts';

/** Puts `next` in the place of the object of a request, with the defaults of what is new in it. */
export function replaceObject({ object, row }: AdmissionRequest, next: KubernetesObject): void {
  if (object === undefined) throw new Error('a request without an object has none to replace');
  object.metadata ??= {};
  const { metadata } = object;
  // The writer holds on to the metadata object: it is filled anew rather than replaced.
  for (const name of Object.keys(metadata)) delete (metadata as Record<string, unknown>)[name];
  Object.assign(metadata, next.metadata);
  for (const name of Object.keys(object)) delete (object as Record<string, unknown>)[name];
  Object.assign(object, next, { metadata });
  row.defaults?.(object);
}
