import t from 'tap';
import type { KubernetesObject } from '../daemon/apimachinery/resource.ts';
import type { Event } from '../daemon/apimachinery/types/core-v1.ts';
import { describeObject } from './describe.ts';
import { eventRow, inOrder } from './event-rows.ts';
import { parseReference } from './objects.ts';

const now = Date.parse('2026-01-01T01:00:00Z');
const event = (change: Partial<Event>): Event => ({
  metadata: { name: 'e' },
  involvedObject: { kind: 'Pod', name: 'web-0' },
  reason: 'Started',
  type: 'Normal',
  message: 'Started container web\n',
  lastTimestamp: '2026-01-01T00:59:30Z',
  ...change,
});

t.test('an event as a row, and events in order', async (t) => {
  t.same(eventRow(event({}), now), ['30s', 'Normal', 'Started', 'pod/web-0', 'Started container web']);
  t.equal(eventRow(event({ count: 4 }), now)[0], '30s (x4)');
  const series = { count: 2, lastObservedTime: '2026-01-01T00:59:59.500000Z' };
  t.equal(eventRow(event({ series }), now)[0], '0s (x2)');
  const early = event({ lastTimestamp: '2026-01-01T00:00:00Z', reason: 'Scheduled' });
  t.same(
    inOrder([event({}), early]).map(({ reason }) => reason),
    ['Scheduled', 'Started'],
  );
});

t.test('an object for people', async (t) => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-0',
      namespace: 'default',
      labels: { tier: 'front', app: 'web' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true }],
    },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  } as KubernetesObject;
  t.equal(
    describeObject(pod, [event({})], now),
    `Name:           web-0
Namespace:      default
Kind:           Pod (v1)
Labels:         app=web
                tier=front
Annotations:    <none>
Controlled By:  ReplicaSet/web
Spec:
  containers:
    - name: web
      image: web:1
Events:
  LAST SEEN   TYPE     REASON    MESSAGE
  30s         Normal   Started   Started container web
`,
  );
});

t.test("a Secret's values are not shown", async (t) => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { password: 'aHVudGVyMg==' } };
  const text = describeObject(secret as KubernetesObject, [], now);
  t.match(text, /password: 7 bytes/);
  t.notMatch(text, 'aHVudGVyMg==');
  t.match(text, /^Events: {9}<none>$/m);
});

t.test('what a command line names', async (t) => {
  t.same(parseReference('deployment/web', undefined, 'a'), { resource: 'deployment', name: 'web', namespace: 'a' });
  t.same(parseReference('deploy', 'web', undefined), { resource: 'deploy', name: 'web', namespace: '' });
  for (const [resource, name] of [
    ['deploy', undefined],
    ['deploy/web', 'web'],
    ['deploy/', undefined],
  ] as const)
    t.throws(() => parseReference(resource, name, undefined), /name one object, as in deployment\/web/);
});
