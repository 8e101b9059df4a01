import t from 'tap';
import { compileJsonPath, JsonPathError } from './json-path.ts';

const object = {
  spec: {
    replicas: 3,
    'a.b': 1,
    list: [
      { name: 'x', port: 1 },
      { name: 'y', port: 2 },
    ],
  },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Other', status: 'False' },
    ],
  },
  metadata: { labels: { 'app.kubernetes.io/name': 'n' } },
};

const paths: readonly (readonly [string, readonly unknown[]])[] = [
  ['.spec.replicas', [3]],
  ['{.spec.replicas}', [3]],
  [".spec['a.b']", [1]],
  ['.spec.list[0].name', ['x']],
  ['.spec.list[-1].name', ['y']],
  ['.spec.list[*].port', [1, 2]],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type=='Other')].status", ['False']],
  ['.spec.list[?(@.port>1)].name', ['y']],
  ['.metadata.labels.app\\.kubernetes\\.io/name', ['n']],
  ['.spec.none.below', []],
  ['.spec.replicas.below', []],
];

t.test('paths lead to values', async (t) => {
  for (const [path, values] of paths) t.same(compileJsonPath(path)(object), values, path);
});

t.test('what is no path is refused', async (t) => {
  for (const path of ['.a[', '.a[x]', '.a b', ".a['b]"]) t.throws(() => compileJsonPath(path), JsonPathError, path);
});
