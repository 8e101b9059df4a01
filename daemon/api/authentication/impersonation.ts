import type { Identity } from '../../client/api-client.ts';
import type { AuthorizerChain } from '../authorization/authorizer.ts';
import { badRequest } from '../status-errors.ts';
import { allAuthenticated, allUnauthenticated, type Credentials } from './authenticator.ts';

const extraPrefix = 'impersonate-extra-';
const serviceAccountPrefix = 'system:serviceaccount:';

/**
 * The identity that the `Impersonate-*` headers ask for, once the caller proves allowed to take each part of it. Fails
 * with 403 when not, with 400 when the headers make no sense.
 */
export function impersonate(
  caller: Identity,
  { header, headers, headerNames }: Credentials,
  authorizer: AuthorizerChain,
): Identity {
  const name = header('impersonate-user') ?? '';
  const uid = header('impersonate-uid') ?? '';
  const groups = headers('impersonate-group');
  const extra: Record<string, string[]> = {};
  for (const headerName of headerNames()) {
    if (!headerName.startsWith(extraPrefix)) continue;
    extra[decodeKey(headerName.slice(extraPrefix.length))] = [...headers(headerName)];
  }
  if (name === '') {
    if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return caller;
    throw badRequest(
      `requested ${JSON.stringify(groups.length > 0 ? 'groups' : uid !== '' ? 'uid' : 'extra')} without impersonating a user`,
    );
  }
  const require = (group: string, resource: string, namespace: string, what: string, subresource = ''): void =>
    authorizer.require({
      identity: caller,
      verb: 'impersonate',
      resource: { group, version: 'v1', resource, subresource, namespace, name: what },
    });
  const account = name.startsWith(serviceAccountPrefix)
    ? name.slice(serviceAccountPrefix.length).split(':')
    : undefined;
  if (account?.length === 2) require('', 'serviceaccounts', account[0]!, account[1]!);
  else require('', 'users', '', name);
  for (const group of groups) require('', 'groups', '', group);
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) require('authentication.k8s.io', 'userextras', '', value, key);
  }
  if (uid !== '') require('authentication.k8s.io', 'uids', '', uid);
  const all = [...groups];
  if (account?.length === 2 && groups.length === 0) {
    all.push('system:serviceaccounts', `system:serviceaccounts:${account[0]!}`);
  }
  if (name === 'system:anonymous') {
    if (!all.includes(allUnauthenticated)) all.push(allUnauthenticated);
  } else if (!all.includes(allAuthenticated) && !all.includes(allUnauthenticated)) {
    all.push(allAuthenticated);
  }
  return {
    name,
    groups: all,
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text).toLowerCase();
  } catch {
    return text.toLowerCase();
  }
}
