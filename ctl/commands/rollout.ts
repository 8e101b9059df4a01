import type { Command } from 'commander';
import type { DaemonSet, Deployment, ReplicaSet, StatefulSet } from '../../daemon/apimachinery/types/apps-v1.ts';
import { PatchRequest_Type } from '../../proto/generated/balsa/control/v1/control.ts';
import { formatColumns } from '../columns.ts';
import { type ConnectionFlags, connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { get, list, type ObjectReference, parseReference, patch, watch } from '../objects.ts';
import { isCurrent, revisionsOf, rolloutProgress, undoTarget } from '../rollout.ts';

type Client = ReturnType<typeof connect>;

interface RolloutFlags {
  readonly namespace?: string;
  readonly toRevision?: string;
  readonly watch?: boolean;
}

async function deploymentOf(client: Client, reference: ObjectReference): Promise<Deployment> {
  const object = await get<Deployment>(client, reference);
  if (object.kind !== 'Deployment')
    throw new Error(`only Deployments keep a history that balsactl knows, and this is a ${object.kind}`);
  return object;
}

async function historyOf(client: Client, deployment: Deployment): Promise<ReturnType<typeof revisionsOf>> {
  const namespace = deployment.metadata.namespace ?? '';
  return revisionsOf(deployment, await list<ReplicaSet>(client, { resource: 'replicasets.apps', namespace }));
}

async function showStatus(client: Client, reference: ObjectReference, flags: RolloutFlags): Promise<void> {
  const first = await get<Deployment | DaemonSet | StatefulSet>(client, reference); // It must be there to begin with.
  const show = (object: Deployment | DaemonSet | StatefulSet): boolean => {
    const progress = rolloutProgress(object);
    (progress.failed ? process.stderr : process.stdout).write(`${progress.message}\n`);
    if (progress.failed) process.exitCode = exitCodes.refused;
    return progress.done || progress.failed;
  };
  if (show(first) || flags.watch === false) return;
  let last = rolloutProgress(first).message;
  for await (const { type, object } of watch<Deployment | DaemonSet | StatefulSet>(client, reference)) {
    if (type === 'DELETED') throw new Error('object has been deleted');
    const { message } = rolloutProgress(object);
    if (message === last) continue;
    last = message;
    if (show(object)) return;
  }
  throw new Error('the server hung up before the rollout was done: ask again');
}

async function showHistory(client: Client, reference: ObjectReference): Promise<void> {
  const deployment = await deploymentOf(client, reference);
  const rows = (await historyOf(client, deployment)).map((each) => [String(each.number), each.changeCause]);
  process.stdout.write(`deployment.apps/${reference.name}\n${formatColumns(['revision', 'change-cause'], rows)}`);
}

async function undo(client: Client, reference: ObjectReference, flags: RolloutFlags): Promise<void> {
  if (flags.toRevision !== undefined && !/^\d+$/.test(flags.toRevision))
    throw new Error(`--to-revision ${flags.toRevision}: a whole number`);
  const deployment = await deploymentOf(client, reference);
  if (deployment.spec.paused === true)
    throw new Error('you cannot rollback a paused deployment; set its spec.paused to false and try again');
  const wanted = flags.toRevision === undefined ? undefined : Number(flags.toRevision);
  const target = undoTarget(reference.name, await historyOf(client, deployment), wanted);
  if (isCurrent(deployment, target)) {
    process.stdout.write(
      `deployment.apps/${reference.name} skipped rollback (current template already matches revision ${target.number})\n`,
    );
    return;
  }
  const { object } = await patch(client, reference, {
    type: PatchRequest_Type.JSON,
    patch: [{ op: 'replace', path: '/spec/template', value: target.template }],
  });
  process.stdout.write(`${object} rolled back\n`);
}

/** A new annotation on the template makes it another one, so every pod is replaced. */
async function restart(client: Client, reference: ObjectReference): Promise<void> {
  const restartedAt = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const annotations = { 'kubectl.kubernetes.io/restartedAt': restartedAt };
  const { object } = await patch(client, reference, {
    type: PatchRequest_Type.MERGE,
    patch: { spec: { template: { metadata: { annotations } } } },
  });
  process.stdout.write(`${object} restarted\n`);
}

/** `balsactl rollout status|history|undo|restart <resource>/<name>`. */
export function addRollout(program: Command): void {
  const rollout = program.command('rollout').description('follow, take back or repeat the rollout of a workload');
  const add = (
    verb: string,
    description: string,
    run: (client: Client, reference: ObjectReference, flags: RolloutFlags) => Promise<void>,
  ): Command =>
    rollout
      .command(`${verb} <resource> [name]`)
      .description(description)
      .option('-n, --namespace <name>', 'namespace (default: default)')
      .action(async (resource: string, name: string | undefined, flags: RolloutFlags) => {
        const reference = parseReference(resource, name, flags.namespace);
        const client = connect(program.opts<ConnectionFlags>());
        try {
          await run(client, reference, flags);
        } finally {
          client.close();
        }
      });
  add('status', 'wait until the rollout is done; exit code 1 when it is stuck', showStatus).option(
    '--no-watch',
    'say where it stands and end',
  );
  add('history', 'the revisions of a Deployment', showHistory);
  add('undo', 'go back to an earlier revision of a Deployment', undo).option(
    '--to-revision <number>',
    'which (default: the one before)',
  );
  add('restart', 'replace every pod of a workload, in turn', restart);
}
