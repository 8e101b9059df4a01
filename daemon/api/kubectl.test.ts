import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startTestingServer } from './testing-server.ts';

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve) => {
    execFile('kubectl', args, { env: { ...process.env, ...environment }, timeout: 30_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, out, err });
    });
  });
}

const present = (await run(['version', '--client'])).code === 0;

t.test('kubectl', { skip: present ? false : 'kubectl is not installed' }, async (t) => {
  const server = await startTestingServer();
  const directory = mkdtempSync(join(tmpdir(), 'balsa-kubectl-'));
  t.teardown(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });
  t.setTimeout(120_000);
  const kubectl = (...args: string[]) => run(['--cache-dir', directory, ...args], { KUBECONFIG: server.kubeconfig });
  const file = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const deployment = (replicas: number, extra = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: ${replicas}
  ${extra}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1', ports: [{containerPort: 80}]}]}
`;

  t.match((await kubectl('version')).out, /Server Version: .*v1\.36\.0\+balsa/);
  t.equal((await kubectl('create', 'serviceaccount', 'default')).out, 'serviceaccount/default created\n');

  const manifest = file('web.yaml', deployment(2));
  t.equal((await kubectl('apply', '-f', manifest)).out, 'deployment.apps/web created\n');
  t.equal((await kubectl('apply', '-f', manifest)).out, 'deployment.apps/web unchanged\n');
  t.equal((await kubectl('apply', '-f', file('web.yaml', deployment(4)))).out, 'deployment.apps/web configured\n');
  t.match((await kubectl('get', 'deployments')).out, /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/4 +0 +0 +/);
  t.match((await kubectl('get', 'deploy', '-o', 'wide')).out, /CONTAINERS +IMAGES +SELECTOR\n.* web +web:1 +app=web/);
  t.match((await kubectl('describe', 'deploy', 'web')).out, /Replicas: +4 desired \| 0 updated/);
  t.equal((await kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).out, '4');
  const misspelt = await kubectl('apply', '-f', file('bad.yaml', deployment(4, 'replica: 1')));
  t.equal(misspelt.code, 1);
  t.match(misspelt.err, /unknown field "(spec\.)?replica"/);

  t.equal((await kubectl('scale', 'deploy', 'web', '--replicas=1')).out, 'deployment.apps/web scaled\n');
  t.equal((await kubectl('label', 'deploy', 'web', 'tier=front')).out, 'deployment.apps/web labeled\n');
  t.equal((await kubectl('set', 'image', 'deploy/web', 'web=web:2')).out, 'deployment.apps/web image updated\n');
  t.equal((await kubectl('expose', 'deploy', 'web', '--type=NodePort')).out, 'service/web exposed\n');
  t.match((await kubectl('get', 'svc', 'web')).out, /NodePort +10\.\d+\.\d+\.\d+ +<none> +80:3\d{4}\/TCP/);
  t.match((await kubectl('get', 'all')).out, /service\/web[\s\S]*deployment\.apps\/web/);

  t.match(
    (await kubectl('apply', '--server-side', '-f', file('web.yaml', deployment(7)))).err,
    /conflicts with "kubectl-set" using apps/,
  );
  const forced = await kubectl('apply', '--server-side', '--force-conflicts', '-f', join(directory, 'web.yaml'));
  t.equal(forced.out, 'deployment.apps/web serverside-applied\n');

  t.match((await kubectl('explain', 'deployment.spec.replicas')).out, /FIELD: +replicas <integer>/);
  t.equal((await kubectl('auth', 'can-i', 'delete', 'nodes')).out, 'yes\n');
  t.equal((await kubectl('auth', 'can-i', 'delete', 'nodes', '--as', 'eve')).out, 'no\n');
  const denied = await kubectl('get', 'secrets', '--as', 'eve');
  t.equal(denied.code, 1);
  t.equal(
    denied.err,
    'Error from server (Forbidden): secrets is forbidden: User "eve" cannot list resource "secrets" in API group "" in the namespace "default"\n',
  );
  t.match((await kubectl('api-resources', '--api-group=apps')).out, /deployments +deploy +apps\/v1 +true +Deployment/);
  t.equal(
    (await kubectl('get', 'deploy', 'none')).err,
    'Error from server (NotFound): deployments.apps "none" not found\n',
  );

  const waited = kubectl('wait', '--for=delete', 'deploy/web', '--timeout=20s');
  t.equal((await kubectl('delete', '-f', join(directory, 'web.yaml'))).out, 'deployment.apps "web" deleted\n');
  t.equal((await waited).code, 0);
});
