import type { HTTPGetAction, Lifecycle, LifecycleHandler, Probe } from '../../apimachinery/types/core-v1.ts';
import type { IntOrString } from '../../apimachinery/types/intstr.ts';
import { type Errors, forbidden, invalid, invalidAll, notSupported, required } from './field-error.ts';
import { httpHeaderName, inclusiveRange, notNegative, portMessage, portName, positive, validPort } from './names.ts';

export function validatePortNumberOrName(port: IntOrString, field: string, errors: Errors): void {
  if (typeof port === 'string') invalidAll(errors, field, port, portName(port));
  else if (!validPort(port)) invalid(errors, field, port, portMessage);
}

function validateHttpGet(action: HTTPGetAction, field: string, errors: Errors): void {
  if (!action.path) required(errors, `${field}.path`);
  validatePortNumberOrName(action.port ?? 0, `${field}.port`, errors);
  if (action.scheme !== 'HTTP' && action.scheme !== 'HTTPS') {
    notSupported(errors, `${field}.scheme`, action.scheme, ['HTTP', 'HTTPS']);
  }
  for (const header of action.httpHeaders ?? []) {
    invalidAll(errors, `${field}.httpHeaders`, header.name, httpHeaderName(header.name));
  }
}

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>;

/** Exactly one way to act. */
function validateHandler(handler: Handler, field: string, gracePeriod: number | undefined, errors: Errors): void {
  let handlers = 0;
  const another = (name: string) => {
    handlers++;
    if (handlers > 1) forbidden(errors, `${field}.${name}`, 'may not specify more than 1 handler type');
    return handlers === 1;
  };
  if (handler.exec !== undefined && another('exec') && (handler.exec.command?.length ?? 0) === 0) {
    required(errors, `${field}.exec.command`);
  }
  if (handler.httpGet !== undefined && another('httpGet')) validateHttpGet(handler.httpGet, `${field}.httpGet`, errors);
  if (handler.tcpSocket !== undefined && another('tcpSocket')) {
    validatePortNumberOrName(handler.tcpSocket.port ?? 0, `${field}.tcpSocket.port`, errors);
  }
  if (handler.grpc !== undefined && another('grpc') && !validPort(handler.grpc.port)) {
    invalid(errors, `${field}.grpc.port`, handler.grpc.port, portMessage);
  }
  if (handler.sleep !== undefined && another('sleep')) {
    const { seconds } = handler.sleep;
    if (gracePeriod !== undefined && (seconds < 0 || seconds > gracePeriod)) {
      invalid(
        errors,
        `${field}.sleep`,
        seconds,
        `must be non-negative and less than terminationGracePeriodSeconds (${gracePeriod})`,
      );
    }
  }
  if (handlers === 0) required(errors, field, 'must specify a handler type');
}

const counts = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

function validateProbe(probe: Probe, field: string, errors: Errors): void {
  validateHandler(probe, field, undefined, errors);
  for (const name of counts) {
    const value = probe[name];
    if (value !== undefined && value < 0) invalid(errors, `${field}.${name}`, value, notNegative);
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) invalid(errors, `${field}.terminationGracePeriodSeconds`, grace, positive);
}

/** The three probes of a container; only readiness may ask for more than one success. */
export function validateProbes(
  container: { livenessProbe?: Probe; readinessProbe?: Probe; startupProbe?: Probe },
  field: string,
  errors: Errors,
): void {
  const { livenessProbe, readinessProbe, startupProbe } = container;
  if (livenessProbe !== undefined) {
    validateProbe(livenessProbe, `${field}.livenessProbe`, errors);
    requireOneSuccess(livenessProbe, `${field}.livenessProbe`, errors);
  }
  if (readinessProbe !== undefined) {
    validateProbe(readinessProbe, `${field}.readinessProbe`, errors);
    if (readinessProbe.terminationGracePeriodSeconds !== undefined) {
      invalid(
        errors,
        `${field}.readinessProbe.terminationGracePeriodSeconds`,
        readinessProbe.terminationGracePeriodSeconds,
        'must not be set for readinessProbes',
      );
    }
  }
  if (startupProbe !== undefined) {
    validateProbe(startupProbe, `${field}.startupProbe`, errors);
    requireOneSuccess(startupProbe, `${field}.startupProbe`, errors);
  }
}

function requireOneSuccess(probe: Probe, field: string, errors: Errors): void {
  if (probe.successThreshold !== 1) invalid(errors, `${field}.successThreshold`, probe.successThreshold, 'must be 1');
}

export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  gracePeriod: number | undefined,
  field: string,
  errors: Errors,
): void {
  if (lifecycle === undefined) return;
  if (lifecycle.postStart !== undefined)
    validateHandler(lifecycle.postStart, `${field}.postStart`, gracePeriod, errors);
  if (lifecycle.preStop !== undefined) validateHandler(lifecycle.preStop, `${field}.preStop`, gracePeriod, errors);
}

export const userIdMessage = inclusiveRange(0, 2_147_483_647);
