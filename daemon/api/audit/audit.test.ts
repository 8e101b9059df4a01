import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parseRequest } from '../http/request-info.ts';
import { TestingHttp } from '../testing-http.ts';
import { startTestingServer } from '../testing-server.ts';
import { decide, parseAuditPolicy } from './policy.ts';

const policyText = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - { level: None, users: ['system:kube-proxy'] }
  - { level: None, nonResourceURLs: ['/healthz*', /version] }
  - level: RequestResponse
    omitManagedFields: true
    verbs: [create]
    resources: [{ group: '', resources: [configmaps] }]
  - level: Request
    resources: [{ group: apps, resources: ['deployments/*'], resourceNames: [web] }]
  - { level: Metadata, namespaces: [default] }
`;

t.test('the first rule that matches decides', async (t) => {
  const policy = parseAuditPolicy(policyText);
  const level = (method: string, url: string, name = 'dev') =>
    decide(policy, { name, groups: [] }, parseRequest(method, url)!).level;
  const maps = '/api/v1/namespaces/default/configmaps';
  t.equal(level('POST', maps), 'RequestResponse');
  t.equal(level('POST', maps, 'system:kube-proxy'), 'None');
  t.equal(level('GET', maps), 'Metadata');
  t.equal(level('GET', '/api/v1/namespaces/other/pods'), 'None');
  t.equal(level('GET', '/healthz/ping'), 'None');
  const web = '/apis/apps/v1/namespaces/other/deployments/web';
  t.equal(level('PUT', `${web}/scale`), 'Request');
  t.equal(level('PUT', web), 'None', 'a pattern of subresources is not the resource');
  t.throws(() => parseAuditPolicy('apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Some}]'), {
    message:
      'rules[0].level: Unsupported value: "Some": supported values: "None", "Metadata", "Request", "RequestResponse"',
  });
});

t.test('events are lines of JSON', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'balsa-audit-'));
  const policyFile = join(directory, 'policy.yaml');
  const logPath = join(directory, 'audit.log');
  writeFileSync(policyFile, policyText);
  const server = await startTestingServer({ audit: { policyFile, logPath } });
  const http = new TestingHttp(server);
  const maps = '/api/v1/namespaces/default/configmaps';
  const made = await http.post(maps, { metadata: { name: 'm' }, data: { a: 'b' } }, { 'user-agent': 'test' });
  const missing = await http.get(`${maps}/none`);
  await http.close();
  await server.stop();
  t.teardown(() => rmSync(directory, { recursive: true }));
  const events = readFileSync(logPath, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.equal(events.length, 2);
  t.match(events[0], {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'RequestResponse',
    auditID: made.headers['audit-id'],
    stage: 'ResponseComplete',
    requestURI: maps,
    verb: 'create',
    user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
    sourceIPs: ['127.0.0.1'],
    userAgent: 'test',
    objectRef: { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' },
    responseStatus: { code: 201 },
    requestObject: { data: { a: 'b' } },
    responseObject: { kind: 'ConfigMap', metadata: { name: 'm', managedFields: undefined } },
  });
  t.match(events[1], { level: 'Metadata', auditID: missing.headers['audit-id'], responseStatus: { code: 404 } });
  t.notMatch(events[1], { responseObject: {} });
});
