import { ApiError, apiError } from '../apimachinery/api-error.ts';
import type { Resource } from '../apimachinery/resource.ts';
import type { Status, StatusDetails } from '../apimachinery/types/meta-v1.ts';
import type { FieldError } from './resources/resource-row.ts';

/**
 * The failures of the API server, with the messages and details that Kubernetes' `api/errors` package gives them:
 * clients match on reason and code, people on the words.
 */

type GroupResource = Pick<Resource, 'group' | 'resource'>;
type GroupKind = Pick<Resource, 'group' | 'kind'>;

/** `deployments.apps`, or `pods` in the core group. */
export function qualifiedResource(resource: GroupResource): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
}

function qualifiedKind(resource: GroupKind): string {
  return resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
}

function resourceDetails(resource: GroupResource, name: string, extra: Partial<StatusDetails> = {}): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    ...(resource.resource === '' ? {} : { kind: resource.resource }),
    ...extra,
  };
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return apiError('NotFound', `${qualifiedResource(resource)} "${name}" not found`, resourceDetails(resource, name));
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return apiError(
    'AlreadyExists',
    `${qualifiedResource(resource)} "${name}" already exists`,
    resourceDetails(resource, name),
  );
}

/** `generateName` gave a name that is taken: the client may try again. */
export function generatedNameTaken(resource: GroupResource, name: string): ApiError {
  return apiError(
    'AlreadyExists',
    `${qualifiedResource(resource)} "${name}" already exists, the server was not able to generate a unique name for the object`,
    resourceDetails(resource, name, { retryAfterSeconds: 1 }),
  );
}

export function conflict(resource: GroupResource, name: string, why: string): ApiError {
  return apiError(
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(resource)} "${name}": ${why}`,
    resourceDetails(resource, name),
  );
}

export const optimisticLockMessage =
  'the object has been modified; please apply your changes to the latest version and try again';

export function modified(resource: GroupResource, name: string): ApiError {
  return conflict(resource, name, optimisticLockMessage);
}

export function badRequest(message: string): ApiError {
  return apiError('BadRequest', message);
}

export function unauthorized(): ApiError {
  return apiError('Unauthorized', 'Unauthorized');
}

export function forbidden(resource: GroupResource, name: string, why: string): ApiError {
  const what =
    resource.resource === ''
      ? 'forbidden'
      : name === ''
        ? `${qualifiedResource(resource)} is forbidden`
        : `${qualifiedResource(resource)} "${name}" is forbidden`;
  return apiError('Forbidden', `${what}: ${why}`, resourceDetails(resource, name));
}

export function methodNotSupported(resource: GroupResource, action: string): ApiError {
  return apiError(
    'MethodNotAllowed',
    `${action} is not supported on resources of kind "${qualifiedResource(resource)}"`,
    resourceDetails(resource, ''),
  );
}

export function methodNotAllowed(): ApiError {
  return apiError('MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

export function noSuchResource(): ApiError {
  return apiError('NotFound', 'the server could not find the requested resource', {});
}

export function entityTooLarge(limit: number): ApiError {
  return apiError('RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}

export function notAcceptable(accepted: readonly string[]): ApiError {
  return apiError('NotAcceptable', `only the following media types are accepted: ${accepted.join(', ')}`);
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  return apiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

export function expired(message: string): ApiError {
  return apiError('Expired', message);
}

export function tooOldResourceVersion(asked: number, oldest: number): ApiError {
  return expired(`too old resource version: ${asked} (${oldest})`);
}

/** A read asked for a revision that this server has not seen yet. */
export function tooLargeResourceVersion(asked: number, current: number): ApiError {
  return apiError('Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

export function timeout(message: string, retryAfterSeconds = 0): ApiError {
  return apiError('Timeout', `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : {});
}

export function serviceUnavailable(message: string): ApiError {
  return apiError('ServiceUnavailable', message);
}

export function tooManyRequests(message: string, retryAfterSeconds: number): ApiError {
  return apiError('TooManyRequests', message, { retryAfterSeconds });
}

export function internalError(message: string): ApiError {
  return apiError('InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** 422 with one cause for each broken rule. */
export function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): ApiError {
  const clauses = [...new Set(errors.map((error) => `${error.field}: ${error.detail}`))];
  const text = clauses.length === 1 ? clauses[0]! : `[${clauses.join(', ')}]`;
  return apiError('Invalid', `${qualifiedKind(kind)} "${name}" is invalid: ${text}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.kind,
    causes: errors.map((error) => ({ reason: error.type, message: error.detail, field: error.field })),
  });
}

/** What a delete answers when the object is gone at once. */
export function successStatus(resource: GroupResource, name: string, uid: string | undefined): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: resourceDetails(resource, name, uid === undefined ? {} : { uid }),
  };
}

/** Any thrown value as the Status a client gets; an unexpected one is a 500 and the caller's to log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return internalError(error instanceof Error ? error.message : String(error));
}
