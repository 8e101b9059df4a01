import { existsSync } from 'node:fs';
import { credentials } from '@grpc/grpc-js';
import { defaultKubeconfigPath, readKubeconfig } from '../daemon/client/kubeconfig.ts';
import { ControlClient } from '../proto/generated/balsa/control/v1/control.ts';

export interface ConnectionFlags {
  readonly kubeconfig?: string;
  readonly server?: string;
}

const defaultControlPort = 6440;
/** Where a server keeps its administrator's kubeconfig: on a server, no flag is needed. */
const serverKubeconfig = '/var/lib/balsa/admin.kubeconfig';

/**
 * A client of the control API with the certificate of a kubeconfig. The server is `--server`, else the kubeconfig's host
 * at the control API's port. Throws an Error that says what is missing.
 */
export function connect(flags: ConnectionFlags): ControlClient {
  const path = flags.kubeconfig ?? [defaultKubeconfigPath(), serverKubeconfig].find((file) => existsSync(file));
  if (path === undefined) throw new Error('no kubeconfig: set KUBECONFIG, or name one with --kubeconfig <file>');
  const context = readKubeconfig(path);
  if (context.cert === undefined || context.key === undefined)
    throw new Error(`${path}: the user has no client certificate, which the control API asks for`);
  const server = flags.server ?? `${new URL(context.server).hostname}:${defaultControlPort}`;
  const channel = credentials.createSsl(Buffer.from(context.ca), Buffer.from(context.key), Buffer.from(context.cert));
  const target = server.includes(':') ? server : `${server}:${defaultControlPort}`;
  // What is checked is that the peer serves this cluster's control API, at whatever address it is reached.
  return new ControlClient(target, channel, { 'grpc.ssl_target_name_override': 'balsa-control' });
}
