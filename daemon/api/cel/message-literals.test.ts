import t from 'tap';
import { fromCel, messagesAsMaps } from './message-literals.ts';

t.test('messages become maps', async (t) => {
  t.equal(
    messagesAsMaps('Object{spec: Object.spec{replicas: object.spec.replicas + 1, names: ["a, b: {"]}}'),
    '{"spec": {"replicas": object.spec.replicas + 1, "names": ["a, b: {"]}}',
  );
  t.equal(
    messagesAsMaps('[JSONPatch{op: "add", path: "/x", value: {"k": x ? y : z}}]'),
    '[{"op": "add", "path": "/x", "value": {"k": x ? y : z}}]',
  );
});

t.test('everything else stays as it is', async (t) => {
  for (const text of [
    '{"a": b}',
    'a ? b : c',
    "'Object{a: 1}'",
    'object.metadata.name',
    'has(Object.x) && [1].all(i, i > 0)',
  ]) {
    t.equal(messagesAsMaps(text), text);
  }
});

t.test('ints become numbers', async (t) => {
  t.same(fromCel({ a: 1n, b: [2n, 'x', null, 1.5] }), { a: 1, b: [2, 'x', null, 1.5] });
});
