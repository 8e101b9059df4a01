import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { PersistentVolume } from '../../apimachinery/types/core-v1.ts';
import { persistentvolumes } from '../../apimachinery/types/resources.ts';
import { FakeClient } from '../../client/fake-client.ts';
import { reclaimLocalPaths, rememberLocalPaths } from './local-path-reclaim.ts';
import type { VolumeSources } from './plugin.ts';

t.test('a directory goes with the volume it was made for, and no other does', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'balsa-reclaim-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const paths = { root, podLogs: root };
  const client = new FakeClient();
  const directory = (name: string): string => {
    mkdirSync(join(root, name));
    return join(root, name);
  };
  const volume = (name: string, path: string, reclaim: string): PersistentVolume => ({
    metadata: { name, annotations: { 'pv.kubernetes.io/provisioned-by': 'balsa.io/local-path' } },
    spec: { hostPath: { path }, persistentVolumeReclaimPolicy: reclaim },
  });
  const doomed = directory('pvc-1_default_a');
  const retained = directory('pvc-2_default_a');
  const foreign = directory('precious');
  client.seed(
    persistentvolumes,
    volume('pvc-1', doomed, 'Delete'),
    volume('pvc-2', retained, 'Retain'),
    volume('pvc-3', foreign, 'Delete'),
  );
  const read = (name: string) => client.get(persistentvolumes, { name });
  const sources = rememberLocalPaths({ volume: read } as VolumeSources, paths);
  for (const name of ['pvc-1', 'pvc-2', 'pvc-3']) await sources.volume(name);
  await reclaimLocalPaths(client, paths);
  t.ok(existsSync(doomed), 'not while the volume is there');
  for (const name of ['pvc-1', 'pvc-2', 'pvc-3']) await client.delete(persistentvolumes, { name });
  await reclaimLocalPaths(client, paths);
  t.notOk(existsSync(doomed));
  t.ok(existsSync(retained));
  t.ok(existsSync(foreign));
  t.same(readdirSync(join(root, 'local-volumes')), []);
});
