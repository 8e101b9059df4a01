import t from 'tap';
import type { Pod } from '../../apimachinery/types/core-v1.ts';
import { evictionOrder } from './eviction.ts';

const MI = 1024 * 1024;
const pod = (name: string, request?: string, priority = 0): Pod => ({
  metadata: { name, uid: name },
  spec: {
    priority,
    containers: [{ name: 'c', ...(request === undefined ? {} : { resources: { requests: { memory: request } } }) }],
  },
});

t.test('those over their requests go first, then the less important, then the greediest', async (t) => {
  const pods = [
    pod('within', '100Mi'),
    pod('important', '10Mi', 1000),
    pod('a-little-over', '10Mi'),
    pod('far-over', '10Mi'),
    pod('asked-nothing'),
  ];
  const usage = new Map([
    ['within', 90 * MI],
    ['important', 500 * MI],
    ['a-little-over', 11 * MI],
    ['far-over', 200 * MI],
    ['asked-nothing', 50 * MI],
  ]);
  t.strictSame(
    evictionOrder(pods, usage).map(({ metadata }) => metadata?.name),
    ['far-over', 'asked-nothing', 'a-little-over', 'important', 'within'],
  );
});
