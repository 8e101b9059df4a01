import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Pod } from '../../daemon/apimachinery/types/core-v1.ts';
import { configmaps, secrets } from '../../daemon/apimachinery/types/resources.ts';
import { connectRuntime } from '../../daemon/kubelet/cri.ts';
import { KubeletLab } from './kubelet/kubelet-lab.ts';
import { inPrivateNetwork } from './network-lab/private-network.ts';

/** The kubelet with real containerd, runc and CNI plugins, against an API in memory. */
if (inPrivateNetwork(t, import.meta.url)) {
  const lab = new KubeletLab();
  t.teardown(() => lab.destroy());
  const only = (pod: Pod) => pod.status?.containerStatuses?.[0];
  const ready = (pod: Pod) => pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  const ended = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  const script = (text: string) => ({ command: ['sh', '-c', text] });
  const logs = async (name: string, query = '') => (await lab.fetch(`/containerLogs/default/${name}/c${query}`)).body;

  await lab.start();

  await t.test('a pod gets an address, becomes ready by its probe, and is gone without a trace', async (t) => {
    await lab.create('web', { readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 } });
    const pod = await lab.until('web', ready);
    t.match(pod.status?.podIP, /^10\.77\.0\./);
    t.match(only(pod), {
      image: 'balsa.local/demo:v1',
      imageID: /^sha256:/,
      containerID: /^containerd:\/\/[0-9a-f]{64}$/,
    });
    await lab.delete('web');
    const runtime = connectRuntime(lab.containerd.endpoint);
    t.teardown(() => runtime.close());
    t.strictSame(await runtime.listPodSandboxes(), []);
    t.strictSame(await runtime.listContainers(), []);
    t.strictSame(
      (await lab.events('web')).filter((line) => !line.includes('Unhealthy')),
      [
        'Normal Pulled Container image "balsa.local/demo:v1" already present on machine and can be accessed by the pod',
        'Normal Created Container created',
        'Normal Started Container started',
        'Normal Killing Stopping container c',
      ],
    );
  });

  await t.test('environment, files and volumes are as the spec says', async (t) => {
    await lab.client.create(configmaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { colour: 'green', 'app.conf': 'a=1\n' },
    });
    await lab.client.create(secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace: 'default' },
      data: { token: Buffer.from('s3cret').toString('base64') },
    });
    await lab.create(
      'volumes',
      {
        ...script(
          [
            'echo "colour=$COLOUR from=$S_token pod=$POD ref=$REF cpu=$CPU"',
            'cat /conf/app.conf; readlink /conf/app.conf; stat -Lc %a /secret/token; cat /down/labels; echo',
            'cat /one.conf; df /memory | tail -1 | cut -d" " -f1; stat -c %g:%a /memory; id -u; id -G',
            'touch /root/x 2>/dev/null || echo read-only; hostname; grep -c volumes /etc/hosts; cat /etc/resolv.conf',
            'touch /conf/x 2>/dev/null || echo config-read-only; echo done',
          ].join('; '),
        ),
        env: [
          { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
          { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'REF', value: '$(COLOUR)-$(NOT)-$$(X)' },
          { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
        ],
        envFrom: [{ prefix: 'S_', secretRef: { name: 'keys' } }],
        resources: { limits: { cpu: '250m', memory: '64Mi' }, requests: { cpu: '100m', memory: '64Mi' } },
        securityContext: { readOnlyRootFilesystem: true, runAsUser: 1000 },
        volumeMounts: [
          { name: 'conf', mountPath: '/conf' },
          { name: 'conf', mountPath: '/one.conf', subPath: 'app.conf' },
          { name: 'secret', mountPath: '/secret' },
          { name: 'down', mountPath: '/down' },
          { name: 'memory', mountPath: '/memory' },
        ],
      },
      {
        restartPolicy: 'Never',
        securityContext: { fsGroup: 2000, runAsGroup: 3000 },
        volumes: [
          { name: 'conf', configMap: { name: 'settings' } },
          { name: 'secret', secret: { secretName: 'keys', defaultMode: 0o440 } },
          {
            name: 'down',
            projected: {
              sources: [{ downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } }],
            },
          },
          { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
        ],
      },
      { labels: { app: 'volumes', tier: 'back' } },
    );
    const pod = await lab.until('volumes', ended);
    t.equal(pod.status?.phase, 'Succeeded');
    t.strictSame(
      (await logs('volumes')).split('\n'),
      [
        'colour=green from=s3cret pod=volumes ref=green-$(NOT)-$(X) cpu=250',
        'a=1',
        '..data/app.conf',
        '440',
        'app="volumes"',
        'tier="back"',
        'a=1',
        'tmpfs',
        '2000:2777',
        '1000',
        '3000 2000',
        'read-only',
        'volumes',
        '1',
        'search default.svc.cluster.local svc.cluster.local cluster.local',
        'nameserver 10.96.0.10',
        'options ndots:5',
        'config-read-only',
        'done',
        '',
      ].filter((line) => !line.startsWith('search') || true),
    );
    await lab.delete('volumes');
    // A pod that has ended leaves the API at once; its node clears up behind it.
    const mounted = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(`/pods/${pod.metadata?.uid}/`);
    while (mounted()) await new Promise((resolve) => setTimeout(resolve, 25));
  });

  await t.test('hooks run, and last words are kept', async (t) => {
    await lab.create(
      'hooks',
      {
        ...script('trap "echo bye > /dev/termination-log; exit 4" TERM; touch /up; while :; do sleep 0.1; done'),
        lifecycle: {
          postStart: { exec: { command: ['sh', '-c', 'echo started > /post'] } },
          preStop: { exec: { command: ['sh', '-c', 'cat /post > /proc/1/fd/1'] } },
        },
      },
      { restartPolicy: 'Never' },
    );
    await lab.until('hooks', ready);
    let last = '';
    const following = lab.fetch('/containerLogs/default/hooks/c?follow=true').then(({ body }) => {
      last = body;
    });
    const seen: (string | undefined)[] = [];
    lab.client.react((action) => {
      const body = action.body as { status?: Pod['status'] } | undefined;
      const terminated = body?.status?.containerStatuses?.[0]?.state?.terminated;
      if (action.subresource === 'status' && terminated !== undefined)
        seen.push(`${terminated.exitCode} ${terminated.message}`);
    });
    await lab.delete('hooks');
    await following;
    t.equal(last, 'started\n');
    t.ok(seen.includes('4 bye\n'), 'the termination message is in the last status');
  });

  await t.test('logs: tail, timestamps, previous; exec over a WebSocket', async (t) => {
    await lab
      .create('talker', script('for i in 1 2 3 4 5; do echo line $i; done; test -e /tmp/x || exit 3; sleep 1000'), {
        containers: undefined,
      })
      .catch(() => undefined);
    await lab.create('crasher', script('for i in 1 2 3 4 5; do echo line $i; done; exit 3'));
    await lab.until('crasher', (pod) => (only(pod)?.restartCount ?? 0) > 0 && only(pod)?.state?.waiting !== undefined);
    t.equal(await logs('crasher', '?tailLines=2'), 'line 4\nline 5\n');
    t.equal(await logs('crasher', '?limitBytes=9'), 'line 1\nli');
    t.match(await logs('crasher', '?timestamps=true&tailLines=1'), /^\d{4}-\d\d-\d\dT[\d:.]+Z line 5\n$/);
    t.match(await logs('crasher', '?previous=true&tailLines=1'), 'line 5\n');
    t.match(await lab.fetch('/containerLogs/default/crasher/none'), { code: 404 });
    t.match(await lab.fetch('/containerLogs/default/none/c'), { code: 404 });
    await lab.create('shell', script('sleep 1000'));
    await lab.until('shell', ready);
    const output = await lab.webSocket('/exec/default/shell/c?command=echo&command=hello&output=1&error=1', (bytes) =>
      bytes.includes('Success'),
    );
    t.match(output.toString(), 'hello');
    t.match(await lab.fetch('/pods', true), { code: 401 });
    t.match(JSON.parse((await lab.fetch('/pods')).body), { kind: 'PodList' });
    t.match(JSON.parse((await lab.fetch('/stats/summary')).body), { node: { nodeName: 'lab' } });
    t.match((await lab.fetch('/metrics/resource')).body, /container_memory_working_set_bytes\{[^}]*container="c"/);
    await lab.delete('crasher');
    await lab.delete('shell', 1);
  });

  await t.test('content of volumes follows its source', async (t) => {
    await lab.create('follower', script('sleep 1000'), {
      volumes: [{ name: 'conf', configMap: { name: 'settings' } }],
    });
    const pod = await lab.until('follower', ready);
    const file = join(lab.dataDir, `kubelet/pods/${pod.metadata?.uid}/volumes/kubernetes.io~configmap/conf/colour`);
    t.equal(readFileSync(file, 'utf8'), 'green');
    await lab.delete('follower', 1);
  });

  await t.test('containers outlive the kubelet and containerd, and are found again', async (t) => {
    await lab.create('survivor', {});
    const before = await lab.until('survivor', ready);
    await lab.stopKubelet();
    await lab.containerd.stop();
    await lab.startContainerd();
    await lab.startKubelet();
    await lab.create('later', {});
    await lab.until('later', ready);
    const after = await lab.get('survivor');
    t.equal(only(after)?.containerID, only(before)?.containerID);
    t.equal(only(after)?.restartCount, 0);
    t.ok(ready(after));
    await lab.delete('later');
  });

  await t.test('containerd that dies is started again; nothing restarts', async (t) => {
    const before = await lab.get('survivor');
    const pid = Number(readFileSync(join(lab.containerd.socket, '../containerd.pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    await lab.create('after', {});
    await lab.until('after', ready);
    const after = await lab.get('survivor');
    t.equal(only(after)?.containerID, only(before)?.containerID);
    t.equal(only(after)?.restartCount, 0);
    await lab.delete('after');
  });

  await t.test('a kubelet that is stopped at any moment leaks nothing and starts nothing twice', async (t) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(names.map((name) => lab.create(name, {})));
    for (const ms of [30, 60, 120, 240]) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      await lab.stopKubelet();
      await lab.startKubelet();
    }
    for (const name of names) await lab.until(name, ready);
    const runtime = connectRuntime(lab.containerd.endpoint);
    t.teardown(() => runtime.close());
    const containers = await runtime.listContainers();
    const sandboxes = (await runtime.listPodSandboxes()).filter(({ state }) => state === 0);
    t.equal(sandboxes.length, names.length + 1);
    t.equal(containers.filter(({ state }) => state === 1).length, names.length + 1);
    await Promise.all([...names, 'survivor'].map((name) => lab.delete(name)));
    t.strictSame(await runtime.listPodSandboxes(), []);
  });
}
