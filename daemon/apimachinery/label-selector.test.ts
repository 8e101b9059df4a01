import fc from 'fast-check';
import t from 'tap';
import {
  formatLabelSelector,
  LabelMatcher,
  type LabelOperator,
  labelSelectorMatcher,
  matchLabels,
  newRequirement,
  parseLabelSelector,
  SelectorError,
} from './label-selector.ts';

t.test('string form', async (t) => {
  const cases: [string, string, Record<string, string>[], Record<string, string>[]][] = [
    ['', '', [{}, { a: 'b' }], []],
    ['a=b', 'a=b', [{ a: 'b' }], [{}, { a: 'c' }]],
    ['a==b', 'a==b', [{ a: 'b' }], [{}]],
    ['a!=b', 'a!=b', [{}, { a: 'c' }], [{ a: 'b' }]],
    ['a', 'a', [{ a: '' }], [{}]],
    ['!a', '!a', [{}], [{ a: '' }]],
    ['a in (x, y)', 'a in (x,y)', [{ a: 'x' }, { a: 'y' }], [{}, { a: 'z' }]],
    ['a notin (y,x)', 'a notin (x,y)', [{}, { a: 'z' }], [{ a: 'x' }]],
    ['a in (,x)', 'a in (,x)', [{ a: '' }, { a: 'x' }], [{ a: 'y' }]],
    ['a=', 'a=', [{ a: '' }], [{ a: 'x' }]],
    ['a>5', 'a>5', [{ a: '6' }], [{ a: '5' }, { a: 'x' }, {}]],
    ['a<5', 'a<5', [{ a: '4' }], [{ a: '5' }]],
    ['z=1,a=2', 'a=2,z=1', [{ z: '1', a: '2' }], [{ z: '1' }]],
    ['in=notin', 'in=notin', [{ in: 'notin' }], [{}]],
    ['in in (in)', 'in in (in)', [{ in: 'in' }], [{}]],
    ['constructor', 'constructor', [{ constructor: 'x' }], [{}]],
  ];
  for (const [text, formatted, matching, other] of cases) {
    const selector = parseLabelSelector(text);
    t.equal(selector.toString(), formatted, text);
    for (const labels of matching) {
      t.ok(selector.matches(labels), `${text} matches ${JSON.stringify(labels)}`);
    }
    for (const labels of other) {
      t.notOk(selector.matches(labels), `${text} does not match ${JSON.stringify(labels)}`);
    }
  }
});

t.test('errors', async (t) => {
  const cases: Record<string, string> = {
    'a b': "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    'a=b c': "found 'c', expected: ',' or 'end of string'",
    'a,': "found '', expected: identifier after ','",
    ',a': "found ',', expected: !, identifier, or 'end of string'",
    'a in b': "unable to parse requirement: found 'b' expected: '('",
    'a in ()':
      "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    'a in (x': "unable to parse requirement: found '', expected: ',' or ')'",
    '!': "unable to parse requirement: found '', expected: identifier",
    'a==(b': "unable to parse requirement: found '(', expected: identifier",
    'a>x':
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    '-a=b':
      "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    'a=-b':
      "unable to parse requirement: values[0][a]: Invalid value: \"-b\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
  };
  for (const [text, message] of Object.entries(cases)) {
    t.throws(() => parseLabelSelector(text), new SelectorError(message), text);
  }
});

t.test('LabelSelector objects', async (t) => {
  t.notOk(labelSelectorMatcher(undefined).matches({}), 'absent selects nothing');
  t.ok(labelSelectorMatcher({}).matches({ a: 'b' }), 'empty selects everything');
  const selector = labelSelectorMatcher({
    matchLabels: { app: 'web' },
    matchExpressions: [
      { key: 'tier', operator: 'NotIn', values: ['b', 'a'] },
      { key: 'canary', operator: 'DoesNotExist' },
    ],
  });
  t.equal(selector.toString(), 'app=web,!canary,tier notin (a,b)');
  t.ok(selector.matches({ app: 'web' }));
  t.notOk(selector.matches({ app: 'web', canary: '' }));
  t.throws(
    () => labelSelectorMatcher({ matchExpressions: [{ key: 'a', operator: 'Near' }] }),
    new SelectorError('"Near" is not a valid label selector operator'),
  );
  t.equal(formatLabelSelector({}), '<none>');
  t.equal(formatLabelSelector({ matchLabels: { a: 'b' } }), 'a=b');
  t.equal(formatLabelSelector({ matchExpressions: [{ key: 'a', operator: 'Near' }] }), '<error>');
  t.ok(matchLabels({ a: 'b' }).matches({ a: 'b', c: 'd' }));
});

t.test('what is formatted parses to the same', async () => {
  const word = fc.stringMatching(/^[a-z]([a-z0-9.-]{0,5}[a-z0-9])?$/);
  const requirement = fc
    .tuple(
      word,
      fc.constantFrom<LabelOperator>('in', 'notin', '=', '==', '!=', 'exists', '!', 'gt'),
      fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
      fc.nat(),
    )
    .map(([key, operator, values, number]) => {
      const count =
        operator === 'in' || operator === 'notin' ? values.length : operator === 'exists' || operator === '!' ? 0 : 1;
      return newRequirement(key, operator, operator === 'gt' ? [String(number)] : values.slice(0, count).sort());
    });
  fc.assert(
    fc.property(fc.uniqueArray(requirement, { selector: (r) => r.key }), fc.dictionary(word, word), (list, labels) => {
      const sorted = new LabelMatcher([...list].sort((a, b) => (a.key < b.key ? -1 : 1)));
      const again = parseLabelSelector(sorted.toString());
      return again.toString() === sorted.toString() && again.matches(labels) === sorted.matches(labels);
    }),
  );
});
