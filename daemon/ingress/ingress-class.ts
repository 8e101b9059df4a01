import type { Ingress, IngressClass } from '../apimachinery/types/networking-v1.ts';

/** What IngressClasses name as `spec.controller` to be served here. */
export const controllerName = 'balsa.io/haproxy';
/** The class that is made at start. */
export const className = 'balsa';
const legacyClassAnnotation = 'kubernetes.io/ingress.class';

/** Ours by its class's controller, or by the annotation that came before classes. */
export function isOurs(ingress: Ingress, classes: readonly IngressClass[]): boolean {
  const name = ingress.spec.ingressClassName;
  const ours = (wanted: string): boolean =>
    classes.some((candidate) => candidate.metadata.name === wanted && candidate.spec.controller === controllerName);
  if (name !== undefined) return ours(name);
  const annotated = ingress.metadata.annotations?.[legacyClassAnnotation];
  return annotated !== undefined && ours(annotated);
}
