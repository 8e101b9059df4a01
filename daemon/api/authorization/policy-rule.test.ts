import t from 'tap';
import { ruleAllows, uncovered } from './policy-rule.ts';
import { rule, urls } from './rules.ts';

const identity = { name: 'x', groups: [] };
const wants = (verb: string, group: string, resource: string, subresource = '', name = '') => ({
  identity,
  verb,
  resource: { group, version: 'v1', resource, subresource, namespace: 'n', name },
});

t.test('rules let through what they say', async (t) => {
  const pods = rule('', ['pods', 'pods/log'], ['get', 'list']);
  t.ok(ruleAllows(pods, wants('get', '', 'pods')));
  t.ok(ruleAllows(pods, wants('get', '', 'pods', 'log')));
  t.notOk(ruleAllows(pods, wants('get', '', 'pods', 'exec')));
  t.notOk(ruleAllows(pods, wants('delete', '', 'pods')));
  t.notOk(ruleAllows(pods, wants('get', 'apps', 'pods')));
  t.ok(ruleAllows(rule('*', ['*'], ['*']), wants('delete', 'apps', 'deployments', 'scale')));
  t.ok(ruleAllows(rule('*', ['*/scale'], ['get']), wants('get', 'apps', 'deployments', 'scale')));
  t.notOk(ruleAllows(rule('*', ['*/scale'], ['get']), wants('get', 'apps', 'deployments')));
  const named = rule('', ['configmaps'], ['get'], ['one']);
  t.ok(ruleAllows(named, wants('get', '', 'configmaps', '', 'one')));
  t.notOk(ruleAllows(named, wants('get', '', 'configmaps', '', 'two')));
  t.notOk(ruleAllows(named, wants('get', '', 'configmaps')));
  t.ok(ruleAllows(urls(['/api/*', '/healthz']), { identity, verb: 'get', path: '/api/v1' }));
  t.notOk(ruleAllows(urls(['/api/*']), { identity, verb: 'get', path: '/apis' }));
  t.notOk(ruleAllows(urls(['/metrics']), { identity, verb: 'post', path: '/metrics' }));
});

t.test('rules cover others, or say what is missing', async (t) => {
  const owned = [rule('', ['pods'], ['get', 'list']), rule('apps', ['*'], ['get'])];
  t.same(
    uncovered(owned, [rule('', ['pods'], ['list']), rule('apps', ['deployments', 'deployments/scale'], ['get'])]),
    [],
  );
  t.same(uncovered(owned, [rule('', ['pods'], ['get', 'delete'])]), [rule('', ['pods'], ['delete'])]);
  t.same(uncovered([rule('', ['secrets'], ['get'], ['a'])], [rule('', ['secrets'], ['get'])]), [
    rule('', ['secrets'], ['get']),
  ]);
  t.same(uncovered([rule('', ['secrets'], ['get'])], [rule('', ['secrets'], ['get'], ['a'])]), []);
  t.same(uncovered([rule('*', ['*'], ['*'])], [urls(['/metrics'])]), [urls(['/metrics'])]);
});
