import type { Container, HTTPGetAction, LifecycleHandler, Probe } from '../../../apimachinery/types/core-v1.ts';
import { defaultPullPolicy } from './image-reference.ts';

function defaultHttpGet(action: HTTPGetAction | undefined): void {
  if (action === undefined) return;
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

function defaultProbe(probe: Probe | undefined): void {
  if (probe === undefined) return;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc !== undefined) probe.grpc.service ??= '';
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
}

function defaultHandler(handler: LifecycleHandler | undefined): void {
  if (handler !== undefined) defaultHttpGet(handler.httpGet);
}

/** What Kubernetes fills in for a container of any sort, in a pod or in a template (`SetDefaults_Container`). */
export function defaultContainer(container: Container): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? '');
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  container.resources ??= {};
  if (container.ports !== undefined) for (const port of container.ports) port.protocol ||= 'TCP';
  if (container.env !== undefined) {
    for (const { valueFrom } of container.env) {
      if (valueFrom === undefined) continue;
      if (valueFrom.fieldRef !== undefined) valueFrom.fieldRef.apiVersion ||= 'v1';
      if (valueFrom.resourceFieldRef !== undefined) valueFrom.resourceFieldRef.divisor ??= '0';
      if (valueFrom.fileKeyRef !== undefined) valueFrom.fileKeyRef.optional ??= false;
    }
  }
  defaultProbe(container.livenessProbe);
  defaultProbe(container.readinessProbe);
  defaultProbe(container.startupProbe);
  if (container.lifecycle !== undefined) {
    defaultHandler(container.lifecycle.postStart);
    defaultHandler(container.lifecycle.preStop);
  }
}

/** A resource with a limit and no request requests its limit; for the containers of pods, not of templates. */
export function defaultRequestsFromLimits(container: Container): void {
  const { resources } = container;
  if (resources?.limits === undefined) return;
  resources.requests ??= {};
  for (const name in resources.limits) resources.requests[name] ??= resources.limits[name]!;
}
