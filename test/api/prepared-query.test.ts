import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prepareQuery } from '../../host/api/prepared-query.ts';

test('parameters become constants of the language', () => {
  const query = prepareQuery('p(x, $a), q($b, $a), x < $c', 'net');
  assert.deepEqual(query.parameters, ['a', 'b', 'c']);
  assert.equal(
    query.bind({ a: 'é"\\', b: 9007199254740993n, c: 1 }),
    'p(x, "é\\"\\\\"), q(9007199254740993, "é\\"\\\\"), x < 1.0',
  );
  assert.equal(query.bind({ a: null, b: true, c: -5n }), 'p(x, null), q(true, null), x <  -5');
});

test('no value can leave its constant', () => {
  const query = prepareQuery('p($a)', undefined);
  assert.equal(query.bind({ a: '"), q(x), r("' }), 'p("\\"), q(x), r(\\"")');
  assert.equal(query.bind({ a: '$b' }), 'p("$b")');
});

test('a dollar in a string or comment is no parameter', () => {
  const text = `p("$a", '$b\\'$c') // $d\n, q($e) # $f\n /* $g */`;
  assert.deepEqual(prepareQuery(text, undefined).parameters, ['e']);
});

test('wrong arguments are refused by name', () => {
  const query = prepareQuery('p($a)', undefined);
  assert.throws(() => query.bind({}), /the parameter `a` has no value/);
  assert.throws(() => query.bind({ a: 1n, b: 2n }), /no parameter `b`/);
  assert.equal(query.bind({ a: [1n, 'x'] }), 'p([1, "x"])');
  assert.throws(() => prepareQuery('p(x)', undefined).bind({ ['__proto__']: 1n }), /no parameter/);
});
