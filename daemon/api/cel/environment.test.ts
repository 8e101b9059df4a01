import t from 'tap';
import { CelCompileError, CelCompiler, CelRuntimeError, toCel } from './environment.ts';

const compiler = new CelCompiler({ self: 'dyn' });
const evaluate = (expression: string, self: unknown = null) =>
  compiler.compile(expression).evaluate({ self: toCel(self) });

const true_: readonly (readonly [string, unknown?])[] = [
  ['self.a + 1 == 3', { a: 2 }],
  ['self.list.all(x, x > 0) && self.list.exists_one(x, x == 2)', { list: [1, 2, 3] }],
  ['has(self.a) && !has(self.b)', { a: 1 }],
  ['self.?b.orValue(5) == 5', { a: 1 }],
  ['self.list.sum() == 6 && self.list.max() == 3 && self.list.min() == 1', { list: [1, 2, 3] }],
  ['self.list.isSorted() && self.list.indexOf(2) == 1 && self.list.lastIndexOf(9) == -1', { list: [1, 2, 3] }],
  ['sets.contains(self, [1]) && sets.equivalent(self, [2, 1, 1]) && !sets.intersects(self, [3])', [1, 2]],
  ['self.find("[0-9]+") == "12" && self.findAll("[a-z]+") == ["a", "b"]', 'a12b'],
  ['self.replace("a", "x") == "xbx" && self.reverse() == "aba" && self.charAt(1) == "b"', 'aba'],
  ['"%s has %d of %.2f".format(["it", 3, 1.5]) == "it has 3 of 1.50"'],
  ['quantity("1Gi").isGreaterThan(quantity("1G")) && quantity("500m").add(quantity("0.5")).asInteger() == 1'],
  ['isQuantity("1k") && !isQuantity("x") && quantity("50k").compareTo(quantity("50000")) == 0'],
  ['url("https://a.b:8080/x?y=1").getHost() == "a.b:8080" && url("https://a.b:8080/x?y=1").getQuery()["y"] == ["1"]'],
  ['isURL("http://x") && !isURL("x y")'],
  ['ip("10.1.2.3").family() == 4 && ip("::1").isLoopback() && !isIP("10.1.2")'],
  ['cidr("10.0.0.0/8").containsIP("10.1.2.3") && cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16")'],
  ['cidr("fd00::/8").prefixLength() == 8 && isCIDR("1.2.3.0/24")'],
  ['self.matches("(?i)^ABC") && matches(self, "^[[:alpha:]]+$") && "matches(".size() == 8', 'abc'],
  ['string(timestamp("2024-01-02T03:04:05Z")) == "2024-01-02T03:04:05Z" && string(duration("90s")) == "90s"'],
  ['duration("90s") > duration("1m") && timestamp("2024-01-02T03:04:05Z").getFullYear() == 2024'],
];

t.test('the libraries that Kubernetes adds', async (t) => {
  for (const [expression, self] of true_) t.equal(evaluate(expression, self), true, expression);
});

t.test('what does not compile is told with its place', async (t) => {
  const failure = (expression: string) => {
    try {
      compiler.compile(expression);
    } catch (error) {
      if (error instanceof CelCompileError) return error.message;
      throw error;
    }
    return '';
  };
  t.equal(
    failure('self.a && other'),
    "ERROR: <input>:1:11: undeclared reference to 'other' (in container '')\n | self.a && other\n | ..........^",
  );
  t.match(failure('self.'), /^ERROR: <input>:1:/);
  t.match(failure('1 + "a"'), /no such overload/);
});

t.test('what fails on a value is an error of its own kind', async (t) => {
  t.throws(() => evaluate('self.b > 1', { a: 1 }), new CelRuntimeError('no such key: b'));
  t.throws(() => evaluate('self[3] == 1', [1]), new CelRuntimeError('index out of bounds: 3'));
});
