import t from 'tap';
import { TestingHttp } from '../../testing-http.ts';
import { startTestingServer } from '../../testing-server.ts';

const base = '/apis/admissionregistration.k8s.io/v1';
const collection = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, data: Record<string, string>) => ({ metadata: { name }, data });

t.test('ValidatingAdmissionPolicy', async (t) => {
  const server = await startTestingServer();
  const http = new TestingHttp(server);
  t.teardown(async () => {
    await http.close();
    await server.stop();
  });
  const policy = (name: string, spec: object) =>
    http.post(`${base}/validatingadmissionpolicies`, {
      metadata: { name },
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'] },
          ],
        },
        ...spec,
      },
    });
  const bind = (name: string, spec: object) =>
    http.post(`${base}/validatingadmissionpolicybindings`, {
      metadata: { name },
      spec: { policyName: name, validationActions: ['Deny'], ...spec },
    });
  const drop = async (name: string) => {
    await http.delete(`${base}/validatingadmissionpolicybindings/${name}`);
    await http.delete(`${base}/validatingadmissionpolicies/${name}`);
  };

  await t.test('a failed validation denies, with variables and a computed message', async (t) => {
    t.equal(
      (
        await policy('short', {
          variables: [
            { name: 'keys', expression: 'has(object.data) ? object.data.map(k, k) : []' },
            { name: 'count', expression: 'size(variables.keys)' },
          ],
          validations: [
            {
              expression: 'variables.count <= 1',
              messageExpression: "'too many keys: ' + string(variables.count)",
              reason: 'Forbidden',
            },
          ],
        })
      ).code,
      201,
    );
    t.equal((await http.post(collection, configMap('unbound', { a: '1', b: '2' }))).code, 201, 'not bound yet');
    await bind('short', {});
    t.equal((await http.post(collection, configMap('one', { a: '1' }))).code, 201);
    const refused = await http.post(collection, configMap('two', { a: '1', b: '2' }));
    t.equal(refused.code, 403);
    t.equal(
      refused.body.message,
      `configmaps "two" is forbidden: ValidatingAdmissionPolicy 'short' with binding 'short' denied request: too many keys: 2`,
    );
    t.equal((await http.put(`${collection}/one`, configMap('one', { a: '1', b: '2' }))).code, 403);
    await drop('short');
  });

  await t.test('warnings, match conditions, the authorizer and the namespace', async (t) => {
    await policy('warn', {
      matchConditions: [{ name: 'wanted', expression: "object.metadata.name != 'exempt'" }],
      validations: [
        {
          expression:
            "namespaceObject.metadata.name == 'other' || !authorizer.group('').resource('secrets').namespace('default').check('get').allowed()",
        },
      ],
    });
    await bind('warn', { validationActions: ['Warn'] });
    const warned = await http.post(collection, configMap('warned', {}));
    t.equal(warned.code, 201);
    t.match(
      String(warned.headers['warning']),
      /Validation failed for ValidatingAdmissionPolicy 'warn' with binding 'warn': failed expression: /,
    );
    t.equal((await http.post(collection, configMap('exempt', {}))).headers['warning'], undefined);
    await drop('warn');
  });

  await t.test('parameters come from an object', async (t) => {
    await http.post('/api/v1/namespaces/kube-system/configmaps', configMap('limits', { most: '3' }));
    await policy('limited', {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'size(object.data.x) <= int(params.data.most)', message: 'x is too long' }],
    });
    const ref = { namespace: 'kube-system', parameterNotFoundAction: 'Deny' };
    await bind('limited', { paramRef: { ...ref, name: 'limits' } });
    t.equal((await http.post(collection, configMap('p1', { x: 'abc' }))).code, 201);
    const refused = await http.post(collection, configMap('p2', { x: 'abcd' }));
    t.equal(refused.code, 422);
    t.match(refused.body.message, /denied request: x is too long$/);
    const missing = await http.post(collection, configMap('p3', {}));
    t.match(missing.body.message, /resulted in error: no such key: data$/, 'an error counts as a failure');
    await http.delete(`${base}/validatingadmissionpolicybindings/limited`);
    await bind('limited', { paramRef: { ...ref, name: 'none' } });
    t.match((await http.post(collection, configMap('p4', { x: 'a' }))).body.message, /no params found/);
    await drop('limited');
  });

  await t.test('the status says what has been looked at', async (t) => {
    await policy('checked', { validations: [{ expression: 'nothing.here' }] });
    const { api } = server;
    const client = api.clientFor({ name: 'admin', groups: ['system:masters'] });
    const { validatingadmissionpolicies } = await import('../../../apimachinery/types/resources.ts');
    for await (const event of client.watch(validatingadmissionpolicies, { sendInitialEvents: true })) {
      if (event.type === 'ERROR') throw new Error(event.object.message);
      const { metadata, status } = event.object;
      if (metadata.name !== 'checked' || status?.observedGeneration === undefined) continue;
      t.equal(status.observedGeneration, 1);
      t.equal(status.typeChecking?.expressionWarnings?.[0]?.fieldRef, 'spec.validations[0].expression');
      break;
    }
  });
});
