import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createTestNode, requireRoot } from './cluster/test-node.ts';

/** The daily work with balsactl alone, against a real node: no kubectl in sight. */
requireRoot();
t.setTimeout(240_000);
t.jobs = 1;

const node = createTestNode(t);

async function balsactl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await node.balsactl(...args);
  if (code !== 0) throw new Error(`balsactl ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

const web = readFileSync(fileURLToPath(new URL('../../docs/examples/web.yaml', import.meta.url)), 'utf8');

await t.test('apply, and wait for the rollout', async (t) => {
  await node.start();
  const file = join(t.testdir({ 'web.yaml': web }), 'web.yaml');
  t.match(await balsactl('apply', '-f', file), 'deployment.apps/web created');
  t.match(await balsactl('rollout', 'status', 'deployment/web'), /deployment "web" successfully rolled out\n$/);
});

await t.test('scale', async (t) => {
  t.equal(await balsactl('scale', 'deployment/web', '--replicas', '2'), 'deployment.apps/web scaled\n');
  t.match(await balsactl('rollout', 'status', 'deploy', 'web'), 'successfully rolled out');
  t.match(await balsactl('get', 'deploy', 'web'), /^web +2\/2 /m);
});

await t.test('another version, its history, and back', async (t) => {
  const file = join(t.testdir({ 'web.yaml': web.replaceAll('demo:v1', 'demo:v2') }), 'web.yaml');
  t.match(await balsactl('apply', '--force', '-f', file), 'deployment.apps/web configured');
  await balsactl('rollout', 'status', 'deployment/web');
  t.match(await balsactl('rollout', 'history', 'deployment/web'), /^REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>$/m);
  t.equal(await balsactl('rollout', 'undo', 'deployment/web'), 'deployment.apps/web rolled back\n');
  t.match(await balsactl('get', 'deploy', 'web', '-o', 'yaml'), 'image: balsa.local/demo:v1');
  t.match(
    await balsactl('rollout', 'undo', 'deployment/web', '--to-revision', '3'),
    /skipped rollback \(current template already matches revision 3\)/,
  );
  t.equal((await node.balsactl('rollout', 'undo', 'deployment/web', '--to-revision', '99')).code, 1);
});

await t.test('restart', async (t) => {
  t.equal(await balsactl('rollout', 'restart', 'deployment/web'), 'deployment.apps/web restarted\n');
  t.match(await balsactl('rollout', 'status', 'deployment/web'), 'successfully rolled out');
});

await t.test('events and describe', async (t) => {
  t.match(await balsactl('events'), /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n/);
  const scaled = /Normal +ScalingReplicaSet +deployment\/web +Scaled up replica set web-/;
  t.match(await balsactl('events', '--for', 'deployment/web', '--types', 'Normal'), scaled);
  t.notMatch(await balsactl('events', '--for', 'deployment/web'), /pod\/web/);
  const described = await balsactl('describe', 'deployment/web');
  t.match(described, /^Name: +web\nNamespace: +default\nKind: +Deployment \(apps\/v1\)$/m);
  t.match(described, /^ +\S+.* Normal +ScalingReplicaSet +Scaled up/m);
  t.match(await balsactl('describe', 'node', node.name), /^Status:\n/m);
  const missing = await node.balsactl('describe', 'pod/nobody');
  t.equal(missing.code, 3);
  t.match(missing.stderr, 'pods "nobody" not found');
});

await t.test('delete', async (t) => {
  t.equal(await balsactl('delete', 'deployment', 'web'), 'deployment.apps/web deleted\n');
  t.equal((await node.balsactl('get', 'deployment', 'web')).code, 3);
  t.equal((await node.balsactl('delete', 'deployment', 'web')).code, 3);
});

await t.test('doctor sees the node that runs, and completion knows the commands', async (t) => {
  const { code, stdout } = await node.balsactl('doctor', '--run-dir', node.runDir, '--data-dir', node.dataDir);
  t.equal(code, 0, stdout);
  t.match(stdout, /^OK +ports +held by the balsad that runs here$/m);
  t.match(await balsactl('completion', 'bash'), 'complete -F _balsactl balsactl');
});
