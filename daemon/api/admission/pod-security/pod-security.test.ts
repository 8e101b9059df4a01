import t from 'tap';
import type { PodSpec } from '../../../apimachinery/types/core-v1.ts';
import { TestingHttp } from '../../testing-http.ts';
import { startTestingServer } from '../../testing-server.ts';
import { violations } from './checks.ts';
import { describeLevel, latest, policyOf } from './policy.ts';

const prefix = 'pod-security.kubernetes.io/';
const plain: PodSpec = { containers: [{ name: 'c', image: 'i' }] };
const hardened: PodSpec = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'c',
      image: 'i',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
};
const restrictedText =
  'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
  'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
  'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
  'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")';

t.test('labels', async (t) => {
  const policy = policyOf({ [`${prefix}enforce`]: 'restricted', [`${prefix}enforce-version`]: 'v1.24' });
  t.equal(describeLevel(policy.enforce), 'restricted:v1.24');
  t.equal(describeLevel(policy.warn), 'restricted:v1.24', 'warn follows a stricter enforce');
  t.equal(describeLevel(policy.audit), 'privileged:latest');
  const wrong = policyOf({ [`${prefix}enforce`]: 'strict', [`${prefix}warn-version`]: '1.2' });
  t.equal(wrong.enforce.level, 'restricted', 'what cannot be read is taken for the strictest');
  t.same(
    wrong.errors.map(({ field, detail }) => `${field}: ${detail}`),
    [
      `metadata.labels[${prefix}enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted`,
      `metadata.labels[${prefix}warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"`,
    ],
  );
});

t.test('rules', async (t) => {
  const of = (level: 'baseline' | 'restricted', spec: PodSpec, minor = latest, annotations = {}) =>
    violations({ level, minor }, { annotations }, spec).map(({ reason, detail }) => `${reason} (${detail})`);
  const container = (extra: object): PodSpec => ({ containers: [{ name: 'c', image: 'i', ...extra }] });
  t.same(of('baseline', plain), []);
  t.same(of('restricted', hardened), []);
  t.equal(of('restricted', plain).join(', '), restrictedText);
  const cases: [PodSpec, string][] = [
    [{ ...plain, hostNetwork: true, hostPID: true }, 'host namespaces (hostNetwork=true, hostPID=true)'],
    [
      container({ securityContext: { privileged: true } }),
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [container({ ports: [{ containerPort: 1, hostPort: 80 }] }), 'hostPort (container "c" uses hostPort 80)'],
    [
      {
        ...plain,
        volumes: [
          { name: 'a', hostPath: { path: '/' } },
          { name: 'b', hostPath: { path: '/x' } },
        ],
      },
      'hostPath volumes (volumes "a", "b")',
    ],
    [
      container({ securityContext: { capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN'] } } }),
      'non-default capabilities (container "c" must not include "NET_ADMIN", "SYS_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      { ...plain, securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      { ...plain, securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      { ...plain, securityContext: { seLinuxOptions: { type: 'x', user: 'u' } } },
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "x"; user may not be set)',
    ],
    [
      container({ livenessProbe: { httpGet: { port: 1, host: 'a' } } }),
      'probe or lifecycle host (container "c" uses probe or lifecycle host "a")',
    ],
  ];
  for (const [spec, text] of cases) t.same(of('baseline', spec), [text]);
  t.same(of('baseline', cases.at(-1)![0], 33), [], 'a rule that the version does not have yet');
  t.same(of('baseline', { ...plain, securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] } }, 31), [
    'forbidden sysctls (net.ipv4.tcp_rmem)',
  ]);
  t.same(of('restricted', { ...hardened, volumes: [{ name: 'v', nfs: { server: 's', path: '/' } }] }), [
    'restricted volume types (volume "v" uses restricted volume type "nfs")',
  ]);
  t.same(of('baseline', plain, latest, { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' }), [
    'forbidden AppArmor profile (container.apparmor.security.beta.kubernetes.io/c="unconfined")',
  ]);
});

t.test('namespaces enforce and warn', async (t) => {
  const server = await startTestingServer();
  const http = new TestingHttp(server);
  t.teardown(async () => {
    await http.close();
    await server.stop();
  });
  const wrong = { metadata: { name: 'wrong', labels: { [`${prefix}enforce`]: 'strict' } } };
  const refused = await http.post('/api/v1/namespaces', wrong);
  t.equal(refused.code, 422);
  t.equal(
    refused.body.message,
    `Namespace "wrong" is invalid: metadata.labels[${prefix}enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted`,
  );
  t.equal((await http.post('/api/v1/namespaces', { metadata: { name: 'safe' } })).code, 201);
  await http.post('/api/v1/namespaces/safe/serviceaccounts', { metadata: { name: 'default' } });
  const pods = '/api/v1/namespaces/safe/pods';
  const pod = (name: string, spec: PodSpec) => ({ metadata: { name }, spec });
  t.equal((await http.post(pods, pod('early', plain))).code, 201);

  const labelled = await http.patch('/api/v1/namespaces/safe', 'merge-patch+json', {
    metadata: { labels: { [`${prefix}enforce`]: 'restricted' } },
  });
  t.same(labelled.headers['warning'], [
    '299 - "existing pods in namespace \\"safe\\" violate the new PodSecurity enforce level \\"restricted:latest\\""',
    '299 - "early: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile"',
  ]);
  const forbidden = await http.post(pods, pod('late', plain));
  t.equal(forbidden.code, 403);
  t.equal(
    forbidden.body.message,
    `pods "late" is forbidden: violates PodSecurity "restricted:latest": ${restrictedText}`,
  );
  t.equal((await http.post(pods, pod('good', hardened))).code, 201);
  const relabelled = await http.patch(`${pods}/early`, 'merge-patch+json', { metadata: { labels: { a: 'b' } } });
  t.equal(relabelled.code, 200, 'what does not touch containers is let be');

  const template = { metadata: { labels: { a: 'b' } }, spec: plain };
  const deployment = { metadata: { name: 'web' }, spec: { selector: { matchLabels: { a: 'b' } }, template } };
  const made = await http.post('/apis/apps/v1/namespaces/safe/deployments', deployment);
  t.equal(made.code, 201, 'what makes pods is only warned about');
  t.match(
    String(made.headers['warning']),
    'would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation',
  );
});
