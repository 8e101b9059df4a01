import t from 'tap';
import { parseRequest } from './request-info.ts';

const about = (method: string, url: string) => {
  const info = parseRequest(method, url);
  if (info === undefined) return 'malformed';
  const { resource } = info;
  if (resource === undefined) return `${info.verb} ${info.path}`;
  const { group, version, namespace, name, subresource, rest } = resource;
  return [info.verb, `${group}/${version}`, resource.resource, subresource, namespace, name, rest].join(' ');
};

t.test('requests are read as kube-apiserver reads them', async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['GET', '/api/v1/pods', 'list /v1 pods    '],
    ['GET', '/api/v1/pods?watch=true', 'watch /v1 pods    '],
    ['GET', '/api/v1/pods?watch=0', 'list /v1 pods    '],
    ['GET', '/api/v1/watch/pods', 'watch /v1 pods    '],
    ['GET', '/api/v1/namespaces/a/pods/b', 'get /v1 pods  a b '],
    ['GET', '/api/v1/namespaces/a', 'get /v1 namespaces  a a '],
    ['PUT', '/api/v1/namespaces/a/finalize', 'update /v1 namespaces finalize a a '],
    ['POST', '/apis/apps/v1/namespaces/a/deployments', 'create apps/v1 deployments  a  '],
    ['DELETE', '/apis/apps/v1/namespaces/a/deployments', 'deletecollection apps/v1 deployments  a  '],
    ['DELETE', '/apis/apps/v1/namespaces/a/deployments/d', 'delete apps/v1 deployments  a d '],
    ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/status', 'patch apps/v1 deployments status a d '],
    ['GET', '/api/v1/namespaces/a/services/https:web:443/proxy/x/y?z=1', 'get /v1 services proxy a https:web:443 /x/y'],
    ['GET', '/api/v1/nodes/n/proxy/', 'get /v1 nodes proxy  n /'],
    ['GET', '/api/v1/namespaces/a/configmaps/with%2Fslash', 'get /v1 configmaps  a with/slash '],
    ['GET', '/apis/apps/v1', 'get /apis/apps/v1'],
    ['GET', '/api/v1', 'get /api/v1'],
    ['GET', '/healthz', 'get /healthz'],
    ['GET', '/api/v1/pods/%zz', 'malformed'],
  ];
  for (const [method, url, expected] of cases) t.equal(about(method, url), expected, `${method} ${url}`);
});
