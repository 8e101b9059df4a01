import t from 'tap';
import { apiError } from '../apimachinery/api-error.ts';
import type { Event } from '../apimachinery/types/core-v1.ts';
import { events } from '../apimachinery/types/resources.ts';
import { ManualClock } from './clock.ts';
import { createEventRecorder } from './event-recorder.ts';
import { FakeClient } from './fake-client.ts';

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'x', uid: 'u', resourceVersion: '7' },
};

function setUp(options: { series?: boolean } = {}) {
  const clock = new ManualClock(Date.parse('2026-01-02T03:04:05Z'));
  const client = new FakeClient({ clock });
  const recorder = createEventRecorder(client, { component: 'kubelet', host: 'n1', clock, ...options });
  const stored = async (): Promise<Event[]> => {
    await recorder.flush();
    return (await client.list(events)).items;
  };
  return { clock, client, recorder, stored };
}

t.test('an event says what happened to what', async (t) => {
  const { recorder, stored } = setUp();
  recorder.event(pod, 'Normal', 'Pulled', 'Container image already present');
  recorder.event({ kind: 'Node', name: 'n1', uid: 'n1' }, 'Normal', 'Starting', 'Starting kubelet.');
  const [node, web] = (await stored()).sort((a, b) => (a.involvedObject.kind! < b.involvedObject.kind! ? -1 : 1));
  t.match(web, {
    metadata: { name: /^web\.[0-9a-f]{16}$/, namespace: 'x' },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'x', name: 'web', uid: 'u', resourceVersion: '7' },
    reason: 'Pulled',
    message: 'Container image already present',
    type: 'Normal',
    count: 1,
    firstTimestamp: '2026-01-02T03:04:05Z',
    lastTimestamp: '2026-01-02T03:04:05Z',
    source: { component: 'kubelet', host: 'n1' },
    reportingComponent: 'kubelet',
    reportingInstance: 'n1',
  });
  t.equal(node?.metadata.namespace, 'default', 'about cluster-scoped objects: in default');
});

t.test('the same again counts; after expiry it is written anew', async (t) => {
  const { clock, client, recorder, stored } = setUp();
  recorder.event(pod, 'Warning', 'BackOff', 'again');
  clock.advance(10_000);
  recorder.event(pod, 'Warning', 'BackOff', 'again');
  recorder.event(pod, 'Warning', 'BackOff', 'again');
  const [event] = await stored();
  t.match(event, { count: 3, firstTimestamp: '2026-01-02T03:04:05Z', lastTimestamp: '2026-01-02T03:04:15Z' });
  await client.delete(events, { namespace: 'x', name: event!.metadata.name! });
  recorder.event(pod, 'Warning', 'BackOff', 'again');
  t.match(await stored(), [{ count: 4 }]);
});

t.test('many similar ones are combined', async (t) => {
  const { recorder, stored } = setUp();
  for (let i = 0; i < 12; i++) {
    recorder.event(pod, 'Warning', 'Failed', `attempt ${i}`);
  }
  const list = await stored();
  t.equal(list.length, 10);
  const combined = list.find((event) => event.message?.startsWith('(combined from similar events): '));
  t.match(combined, { message: '(combined from similar events): attempt 11', count: 3 });
});

t.test('a flood about one object is held back', async (t) => {
  const { clock, recorder, stored } = setUp();
  for (let i = 0; i < 40; i++) {
    recorder.event(pod, 'Normal', `Reason${i}`, 'm');
  }
  t.equal((await stored()).length, 25);
  clock.advance(300_000);
  recorder.event(pod, 'Normal', 'Later', 'm');
  recorder.event(pod, 'Normal', 'TooMuch', 'm');
  t.equal((await stored()).length, 26);
});

t.test('series', async (t) => {
  const { clock, recorder, stored } = setUp({ series: true });
  const say = () => recorder.event(pod, 'Warning', 'FailedScheduling', '0/1 nodes', { action: 'Scheduling' });
  say();
  t.match(await stored(), [{ eventTime: '2026-01-02T03:04:05.000000Z', action: 'Scheduling', series: undefined }]);
  clock.advance(10_000);
  say();
  t.match(await stored(), [{ series: { count: 2, lastObservedTime: '2026-01-02T03:04:15.000000Z' } }]);
  say();
  say();
  t.match(await stored(), [{ series: { count: 2 } }], 'written at most once a minute');
  clock.advance(60_000);
  say();
  t.match(await stored(), [{ series: { count: 5 } }]);
  clock.advance(360_001);
  say();
  t.equal((await stored()).length, 2);
});

t.test('failures are retried or dropped, and never thrown', async (t) => {
  const { clock, client, recorder, stored } = setUp();
  let left = 2;
  const remove = client.react(() => {
    if (left-- > 0) {
      throw apiError('ServiceUnavailable', 'starting');
    }
  });
  recorder.event(pod, 'Normal', 'A', 'm');
  for (let i = 0; i < 2; i++) {
    await client.settle();
    t.equal(clock.pending, 1);
    clock.advance(10_000);
  }
  t.equal((await stored()).length, 1);
  remove();
  client.react(() => {
    throw apiError('Forbidden', 'namespace is being terminated');
  });
  recorder.event(pod, 'Normal', 'B', 'm');
  recorder.event({ metadata: { name: 'kindless' } }, 'Normal', 'C', 'm');
  await recorder.flush();
  t.equal(clock.pending, 0);
});
