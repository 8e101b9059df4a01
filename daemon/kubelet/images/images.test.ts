import t from 'tap';
import type { Container, Pod } from '../../apimachinery/types/core-v1.ts';
import { createLogger } from '../../log/logger.ts';
import { BackOff } from '../back-off.ts';
import type { KubeletEvents } from '../events.ts';
import { HollowRuntime } from '../hollow-runtime.ts';
import { ImageGarbageCollector } from './image-garbage-collection.ts';
import { createImageManager } from './image-manager.ts';
import { matchRank, pullCredentials } from './pull-secrets.ts';
import { parseImageReference, registryOf, withDefaultTag } from './reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

t.test('references', async (t) => {
  t.strictSame(parseImageReference(`localhost:5000/a/b:v1@${digest}`), {
    name: 'localhost:5000/a/b',
    tag: 'v1',
    digest,
  });
  for (const bad of ['', 'x/UPPER', 'a b', 'a:', 'a@sha256:12', '/a', 'a//b', 'f'.repeat(64)])
    t.equal(parseImageReference(bad), undefined, bad);
  t.equal(withDefaultTag('nginx'), 'nginx:latest');
  t.equal(withDefaultTag(`nginx@${digest}`), `nginx@${digest}`);
  t.strictSame(['nginx', 'a/b', 'quay.io/a', 'localhost/a', 'h:1/a'].map(registryOf), [
    'docker.io',
    'docker.io',
    'quay.io',
    'localhost',
    'h:1',
  ]);
});

t.test('pull secrets: the most specific key first', async (t) => {
  t.equal(matchRank('https://index.docker.io/v1/', 'nginx'), 0);
  t.equal(matchRank('*.example.com', 'r.example.com/a'), 0);
  t.equal(matchRank('*.example.com', 'r.other.com/a'), undefined);
  t.ok((matchRank('quay.io/team', 'quay.io/team/x') ?? 0) > (matchRank('quay.io', 'quay.io/team/x') ?? 0));
  const auth = (user: string) => ({ auth: Buffer.from(`${user}:p:w`).toString('base64') });
  const config = { auths: { 'quay.io': auth('all'), 'quay.io/team': auth('team'), 'ghcr.io': auth('no') } };
  const pod: Pod = {
    metadata: { namespace: 'n' },
    spec: { containers: [], imagePullSecrets: [{ name: 's' }, { name: 'broken' }] },
  };
  const credentials = await pullCredentials(pod, 'quay.io/team/x', {
    configMap: () => Promise.reject(new Error('not asked')),
    secret: async (_, name) => ({
      metadata: {},
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(name === 's' ? JSON.stringify(config) : '{').toString('base64') },
    }),
  });
  t.strictSame(credentials, [
    { username: 'team', password: 'p:w' },
    { username: 'all', password: 'p:w' },
  ]);
});

t.test('pull policies and what is told of them', async (t) => {
  let fails = true;
  const runtime = new HollowRuntime({
    images: ['app:v1', 'app:latest', 'balsa.local/demo:latest'],
    pull: (image) => {
      if (fails) throw new Error(`cannot pull ${image}`);
    },
  });
  const told: string[] = [];
  const tell = (reason: string, message: string) => void told.push(`${reason}: ${message}`);
  const events: KubeletEvents = {
    pod: (_, __, reason, message) => tell(reason, message),
    container: (_, __, ___, reason, message) => tell(reason, message),
    node: (_, reason, message) => tell(reason, message),
  };
  const none = () => Promise.reject(new Error('none'));
  const manager = createImageManager(runtime, { configMap: none, secret: none }, events);
  const pod: Pod = { metadata: { name: 'p', uid: 'u' }, spec: { containers: [] } };
  const ensure = (container: Partial<Container>) =>
    manager.ensure(pod, { name: 'c', ...container }, { labels: {} } as never).then(
      ({ image }) => image.repoTags[0],
      (error: { reason: string; message: string }) => `${error.reason}: ${error.message}`,
    );
  t.equal(await ensure({ image: 'app:v1' }), 'app:v1');
  t.equal(await ensure({ image: 'balsa.local/demo:latest', imagePullPolicy: 'Always' }), 'balsa.local/demo:latest');
  t.equal(await ensure({ image: 'app', imagePullPolicy: 'Always' }), 'ErrImagePull: cannot pull app:latest');
  t.equal(
    await ensure({ image: 'app', imagePullPolicy: 'Always' }),
    'ImagePullBackOff: Back-off pulling image "app:latest": ErrImagePull: cannot pull app:latest',
  );
  fails = false;
  t.equal(await ensure({ image: 'new:v1' }), 'new:v1');
  t.match(
    told.at(-1),
    /^Pulled: Successfully pulled image "new:v1" in \S+ \(\S+ including waiting\)\. Image size: 1000 bytes\.$/,
  );
});

t.test('back-off doubles, ends, and starts again after a long quiet', async (t) => {
  let now = 0;
  const backOff = new BackOff(10, 40, () => now);
  const delays: number[] = [];
  for (let n = 0; n < 4; n++) {
    backOff.next('k');
    delays.push(backOff.remainingSinceFailure('k'));
    now += 1;
  }
  t.strictSame(delays, [10, 20, 40, 40]);
  now += 1000;
  t.equal(backOff.remainingSinceFailure('k'), 0);
  backOff.next('k');
  t.equal(backOff.delay('k'), 10);
});

t.test('garbage collection takes the image longest unused, and never a pinned or young one', async (t) => {
  const runtime = new HollowRuntime({ images: ['old:v1', 'newer:v1', 'pinned:v1'] });
  const usage = { capacity: 10_000, available: 1400 };
  const collector = new ImageGarbageCollector({
    runtime,
    usage: async () => usage,
    pinned: ['pinned:v1'],
    logger: createLogger('test', 'silent'),
  });
  await collector.observe(0);
  t.strictSame(await collector.collect(false, 1000), { freed: 0, wanted: 600 }, 'all are young');
  const images = [...runtime.images.values()];
  const sandbox = await runtime.runPodSandbox({ labels: {}, annotations: {} } as never);
  const id = await runtime.createContainer(sandbox, {
    image: { image: images[1]?.id },
    labels: {},
    annotations: {},
    mounts: [],
  } as never);
  await collector.observe(5000);
  await runtime.removeContainer(id);
  t.match(await collector.collect(false, 500_000), { freed: 1000 });
  t.strictSame([...runtime.images.keys()], ['newer:v1', 'pinned:v1']);
  usage.available = 5000;
  t.match(await collector.collect(false, 500_000), { freed: 0 });
});
