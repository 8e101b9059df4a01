import {
  AuthDisableResponse,
  AuthEnableResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleGrantPermissionResponse,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthRoleRevokePermissionResponse,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  AuthUserDeleteResponse,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserGrantRoleResponse,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  AuthUserRevokeRoleResponse,
} from '../../../proto/generated/etcd/messages.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { UnaryMethod } from '../grpc/server.ts';
import type { AuthGate } from './auth-gate.ts';
import {
  authError,
  hashPassword,
  passwordMatches,
  type RoleRecord,
  rootName,
  type UserRecord,
} from './auth-records.ts';
import { headerOf } from './header.ts';
import type { ServiceMethods } from './services.ts';

export function authMethods(store: EmbeddedStore, gate: AuthGate): ServiceMethods {
  const { records } = gate;
  const header = () => headerOf(store);

  const user = (name: string): UserRecord => {
    const found = records.user(name);
    if (found === undefined) throw authError('userNotFound');
    return found;
  };
  const role = (name: string): RoleRecord => {
    const found = records.role(name);
    if (found === undefined) throw authError('roleNotFound');
    return found;
  };
  /** Only the administrator, and on the newest records. */
  const asAdmin =
    (method: UnaryMethod): UnaryMethod =>
    async (request, caller) => {
      await store.thread.confirmRead();
      gate.admin(caller);
      return method(request, caller);
    };

  return {
    unary: {
      AuthEnable: async () => {
        await store.thread.confirmRead();
        const root = records.user(rootName);
        if (root === undefined) throw authError('rootUserNotExist');
        if (!root.roles.includes(rootName)) throw authError('rootRoleNotExist');
        await records.write({ enabled: true });
        return AuthEnableResponse.encode({ header: header() }).finish();
      },
      AuthDisable: asAdmin(async () => {
        await records.write({ enabled: false });
        return AuthDisableResponse.encode({ header: header() }).finish();
      }),
      AuthStatus: asAdmin(async () => {
        const { enabled, revision } = records.state();
        return AuthStatusResponse.encode({ header: header(), enabled, authRevision: BigInt(revision) }).finish();
      }),
      Authenticate: async (request) => {
        await store.thread.confirmRead();
        if (!records.state().enabled) throw authError('notEnabled');
        const { name, password } = AuthenticateRequest.decode(request);
        const found = records.user(name);
        if (found === undefined || !passwordMatches(found.password, password)) throw authError('authFailed');
        return AuthenticateResponse.encode({ header: header(), token: records.issueToken(name) }).finish();
      },
      UserAdd: asAdmin(async (request) => {
        const { name, password, options } = AuthUserAddRequest.decode(request);
        if (name === '') throw authError('userEmpty');
        if (records.user(name) !== undefined) throw authError('userExists');
        const stored = options?.noPassword ? '' : hashPassword(password);
        await records.write({ users: [{ name, password: stored, roles: [] }] });
        return AuthUserAddResponse.encode({ header: header() }).finish();
      }),
      UserGet: async (request, caller) => {
        await store.thread.confirmRead();
        const { name } = AuthUserGetRequest.decode(request);
        // Everybody may look at themselves.
        if (gate.user(caller) !== name) gate.admin(caller);
        return AuthUserGetResponse.encode({ header: header(), roles: [...user(name).roles] }).finish();
      },
      UserList: asAdmin(async () => {
        const users = records.users().map(({ name }) => name);
        return AuthUserListResponse.encode({ header: header(), users }).finish();
      }),
      UserDelete: asAdmin(async (request) => {
        const { name } = AuthUserDeleteRequest.decode(request);
        if (records.state().enabled && name === rootName) throw authError('invalidManagement');
        user(name);
        await records.write({ deletedUsers: [name] });
        return AuthUserDeleteResponse.encode({ header: header() }).finish();
      }),
      UserChangePassword: asAdmin(async (request) => {
        const { name, password } = AuthUserChangePasswordRequest.decode(request);
        await records.write({ users: [{ ...user(name), password: hashPassword(password) }] });
        return AuthUserChangePasswordResponse.encode({ header: header() }).finish();
      }),
      UserGrantRole: asAdmin(async (request) => {
        const { user: name, role: granted } = AuthUserGrantRoleRequest.decode(request);
        const found = user(name);
        if (granted !== rootName) role(granted);
        const roles = [...new Set([...found.roles, granted])].sort();
        await records.write({ users: [{ ...found, roles }] });
        return AuthUserGrantRoleResponse.encode({ header: header() }).finish();
      }),
      UserRevokeRole: asAdmin(async (request) => {
        const { name, role: revoked } = AuthUserRevokeRoleRequest.decode(request);
        const { enabled } = records.state();
        if (enabled && name === rootName && revoked === rootName) throw authError('invalidManagement');
        const found = user(name);
        if (!found.roles.includes(revoked)) throw authError('roleNotGranted');
        await records.write({ users: [{ ...found, roles: found.roles.filter((each) => each !== revoked) }] });
        return AuthUserRevokeRoleResponse.encode({ header: header() }).finish();
      }),
      RoleAdd: asAdmin(async (request) => {
        const { name } = AuthRoleAddRequest.decode(request);
        if (name === '') throw authError('roleEmpty');
        if (records.role(name) !== undefined) throw authError('roleExists');
        await records.write({ roles: [{ name, permissions: [] }] });
        return AuthRoleAddResponse.encode({ header: header() }).finish();
      }),
      RoleGet: async (request, caller) => {
        await store.thread.confirmRead();
        const { role: name } = AuthRoleGetRequest.decode(request);
        const own = gate.user(caller);
        if (own !== undefined && !user(own).roles.includes(name)) gate.admin(caller);
        const perm = role(name).permissions.map(({ type, key, rangeEnd }) => ({
          permType: type,
          key: Buffer.from(key, 'base64'),
          rangeEnd: Buffer.from(rangeEnd, 'base64'),
        }));
        return AuthRoleGetResponse.encode({ header: header(), perm }).finish();
      },
      RoleList: asAdmin(async () => {
        const roles = records.roles().map(({ name }) => name);
        return AuthRoleListResponse.encode({ header: header(), roles }).finish();
      }),
      RoleDelete: asAdmin(async (request) => {
        const { role: name } = AuthRoleDeleteRequest.decode(request);
        if (records.state().enabled && name === rootName) throw authError('invalidManagement');
        role(name);
        const users = records
          .users()
          .filter(({ roles }) => roles.includes(name))
          .map((each) => ({ ...each, roles: each.roles.filter((other) => other !== name) }));
        await records.write({ deletedRoles: [name], users });
        return AuthRoleDeleteResponse.encode({ header: header() }).finish();
      }),
      RoleGrantPermission: asAdmin(async (request) => {
        const { name, perm } = AuthRoleGrantPermissionRequest.decode(request);
        if (perm === undefined) throw authError('permissionNotGiven');
        const found = role(name);
        const granted = {
          type: perm.permType,
          key: perm.key.toString('base64'),
          rangeEnd: perm.rangeEnd.toString('base64'),
        };
        const others = found.permissions.filter(
          ({ key, rangeEnd }) => key !== granted.key || rangeEnd !== granted.rangeEnd,
        );
        const permissions = [...others, granted].sort((a, b) =>
          Buffer.compare(Buffer.from(a.key, 'base64'), Buffer.from(b.key, 'base64')),
        );
        await records.write({ roles: [{ ...found, permissions }] });
        return AuthRoleGrantPermissionResponse.encode({ header: header() }).finish();
      }),
      RoleRevokePermission: asAdmin(async (request) => {
        const { role: name, key, rangeEnd } = AuthRoleRevokePermissionRequest.decode(request);
        const found = role(name);
        const permissions = found.permissions.filter(
          (each) => each.key !== key.toString('base64') || each.rangeEnd !== rangeEnd.toString('base64'),
        );
        if (permissions.length === found.permissions.length) throw authError('permissionNotGranted');
        await records.write({ roles: [{ ...found, permissions }] });
        return AuthRoleRevokePermissionResponse.encode({ header: header() }).finish();
      }),
    },
  };
}
