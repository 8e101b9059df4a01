import { createHmac, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';
import { MetaUpdate } from '../../../proto/generated/balsa/store/store.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import { GrpcError } from '../grpc/status.ts';
import { grpcStatus } from '../store-error-table.ts';

export const rootName = 'root';

export interface Permission {
  /** 0: read, 1: write, 2: both. */
  readonly type: 0 | 1 | 2;
  /** Base64. */
  readonly key: string;
  readonly rangeEnd: string;
}

export interface UserRecord {
  readonly name: string;
  /** `salt:hash`, base64; empty: known by certificate only. */
  readonly password: string;
  readonly roles: readonly string[];
}

export interface RoleRecord {
  readonly name: string;
  readonly permissions: readonly Permission[];
}

interface AuthState {
  readonly enabled: boolean;
  readonly revision: number;
  /** What tokens are signed with; the same on every member. */
  readonly secret: string;
}

const stateKey = 'auth/state';
const userPrefix = 'auth/user/';
const rolePrefix = 'auth/role/';
/** Milliseconds a token is good for. */
const tokenLifetime = 5 * 60 * 1000;

/** etcd's words for what can be wrong with users, roles and tokens. */
export const authErrors = {
  rootUserNotExist: [grpcStatus.failedPrecondition, 'root user does not exist'],
  rootRoleNotExist: [grpcStatus.failedPrecondition, 'root user does not have root role'],
  userExists: [grpcStatus.failedPrecondition, 'user name already exists'],
  userEmpty: [grpcStatus.invalidArgument, 'user name is empty'],
  userNotFound: [grpcStatus.failedPrecondition, 'user name not found'],
  roleExists: [grpcStatus.failedPrecondition, 'role name already exists'],
  roleNotFound: [grpcStatus.failedPrecondition, 'role name not found'],
  roleEmpty: [grpcStatus.invalidArgument, 'role name is empty'],
  authFailed: [grpcStatus.invalidArgument, 'authentication failed, invalid user ID or password'],
  permissionNotGiven: [grpcStatus.invalidArgument, 'permission not given'],
  permissionDenied: [grpcStatus.permissionDenied, 'permission denied'],
  roleNotGranted: [grpcStatus.failedPrecondition, 'role is not granted to the user'],
  permissionNotGranted: [grpcStatus.failedPrecondition, 'permission is not granted to the role'],
  notEnabled: [grpcStatus.failedPrecondition, 'authentication is not enabled'],
  invalidToken: [grpcStatus.unauthenticated, 'invalid auth token'],
  invalidManagement: [grpcStatus.invalidArgument, 'invalid auth management'],
} as const;

export function authError(reason: keyof typeof authErrors): GrpcError {
  const [status, message] = authErrors[reason];
  return new GrpcError(status, `etcdserver: ${message}`);
}

/** Users, roles and whether they count, as replicated records. */
export class AuthRecords {
  readonly #store: EmbeddedStore;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  state(): AuthState {
    return this.#get<AuthState>(stateKey) ?? { enabled: false, revision: 1, secret: '' };
  }

  user(name: string): UserRecord | undefined {
    return this.#get(`${userPrefix}${name}`);
  }

  role(name: string): RoleRecord | undefined {
    return this.#get(`${rolePrefix}${name}`);
  }

  users(): UserRecord[] {
    return this.#scan<UserRecord>(userPrefix);
  }

  roles(): RoleRecord[] {
    return this.#scan<RoleRecord>(rolePrefix);
  }

  /** Writes through the log, all of it or nothing; every change moves the auth revision on. */
  async write(changes: {
    readonly enabled?: boolean;
    readonly users?: readonly UserRecord[];
    readonly roles?: readonly RoleRecord[];
    readonly deletedUsers?: readonly string[];
    readonly deletedRoles?: readonly string[];
  }): Promise<void> {
    const before = this.state();
    const state: AuthState = {
      enabled: changes.enabled ?? before.enabled,
      revision: before.revision + 1,
      secret: before.secret === '' ? randomBytes(32).toString('base64') : before.secret,
    };
    const put = (key: string, value: unknown) => ({ key, value: Buffer.from(JSON.stringify(value)) });
    const update = MetaUpdate.encode({
      puts: [
        put(stateKey, state),
        ...(changes.users ?? []).map((user) => put(`${userPrefix}${user.name}`, user)),
        ...(changes.roles ?? []).map((role) => put(`${rolePrefix}${role.name}`, role)),
      ],
      deletes: [
        ...(changes.deletedUsers ?? []).map((name) => `${userPrefix}${name}`),
        ...(changes.deletedRoles ?? []).map((name) => `${rolePrefix}${name}`),
      ],
    });
    await this.#store.write('meta', update.finish());
  }

  /** A token any member accepts until it expires, or users or roles change. */
  issueToken(user: string): string {
    const { revision } = this.state();
    const body = Buffer.from(JSON.stringify([user, revision, Date.now() + tokenLifetime])).toString('base64url');
    return `${body}.${this.#sign(body)}`;
  }

  /** The user a token was issued to; throws when it is not good. */
  userOfToken(token: string): string {
    const [body = '', signature = ''] = token.split('.');
    const expected = Buffer.from(this.#sign(body));
    const given = Buffer.from(signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw authError('invalidToken');
    const [user, , expires] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, number, number];
    if (Date.now() > expires) throw authError('invalidToken');
    return user;
  }

  #sign(body: string): string {
    return createHmac('sha256', this.state().secret).update(body).digest('base64url');
  }

  #get<T>(key: string): T | undefined {
    const bytes = this.#store.native.getMeta(key);
    return bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as T);
  }

  #scan<T>(prefix: string): T[] {
    return this.#store.native.scanMeta(prefix).map(([, value]) => JSON.parse(value.toString()) as T);
  }
}

export function hashPassword(password: string): string {
  const salt = randomBytes(16);
  return `${salt.toString('base64')}:${scryptSync(password, salt, 32).toString('base64')}`;
}

export function passwordMatches(stored: string, password: string): boolean {
  const [salt = '', hash = ''] = stored.split(':');
  const expected = Buffer.from(hash, 'base64');
  if (expected.length === 0) return false;
  return timingSafeEqual(expected, scryptSync(password, Buffer.from(salt, 'base64'), expected.length));
}
