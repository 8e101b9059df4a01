import t from 'tap';
import { InflightLimit } from './inflight-limit.ts';
import { parseRequest } from './request-info.ts';

const user = { name: 'u', groups: ['system:authenticated'] };
const admin = { name: 'a', groups: ['system:masters'] };
const read = parseRequest('GET', '/api/v1/pods')!;
const write = parseRequest('POST', '/api/v1/namespaces/n/pods')!;
const watch = parseRequest('GET', '/api/v1/pods?watch=1')!;

t.test('reads and writes have limits of their own; watches and administrators none', async (t) => {
  const limit = new InflightLimit();
  const leave: (() => void)[] = [];
  for (;;) {
    const done = limit.enter(write, user);
    if (done === undefined) break;
    leave.push(done);
  }
  t.equal(leave.length, 200);
  t.ok(limit.enter(write, admin));
  t.ok(limit.enter(read, user));
  t.ok(limit.enter(watch, user));
  leave[0]!();
  t.notOk(limit.enter(write, user), 'the administrator holds that place');
  leave[1]!();
  t.ok(limit.enter(write, user));
});
