import fc from 'fast-check';
import t from 'tap';
import { FieldMatcher, FieldSelectorError, parseFieldSelector } from './field-selector.ts';

t.test('field selectors', async (t) => {
  const selector = parseFieldSelector('metadata.name=web,status.phase!=Running,spec.nodeName==');
  t.equal(selector.toString(), 'metadata.name=web,status.phase!=Running,spec.nodeName=');
  t.ok(selector.matches({ 'metadata.name': 'web', 'status.phase': 'Pending' }));
  t.notOk(selector.matches({ 'metadata.name': 'web', 'status.phase': 'Running' }));
  t.notOk(selector.matches({ 'metadata.name': 'web', 'spec.nodeName': 'n1' }));
  t.equal(selector.exact('metadata.name'), 'web');
  t.equal(selector.exact('status.phase'), undefined);
  t.ok(parseFieldSelector('').isEverything);
  t.ok(parseFieldSelector(',').isEverything);
  t.equal(parseFieldSelector('a=x\\,y\\=z\\\\').exact('a'), 'x,y=z\\');
});

t.test('errors', async (t) => {
  const cases: Record<string, string> = {
    foo: "invalid selector: 'foo'; can't understand 'foo'",
    'a=b,foo': "invalid selector: 'a=b,foo'; can't understand 'foo'",
    'a=b=c': 'invalid field selector: unescaped character in value: =',
    'a=\\x': 'invalid field selector: invalid escape sequence: \\x',
    'a=b\\': 'invalid field selector: invalid escape sequence: \\',
  };
  for (const [text, message] of Object.entries(cases)) {
    t.throws(() => parseFieldSelector(text), new FieldSelectorError(message), text);
  }
});

t.test('what is formatted parses to the same', async () => {
  const requirement = fc.record({
    field: fc.stringMatching(/^[a-z.]{1,8}$/),
    operator: fc.constantFrom<'=' | '!='>('=', '!='),
    value: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(requirement), (requirements) => {
      const again = parseFieldSelector(new FieldMatcher(requirements).toString());
      return JSON.stringify(again.requirements) === JSON.stringify(requirements);
    }),
  );
});
