/** Every function with good values, edges and failures, from `cases.txt`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DiagnosticList } from '../../host/compiler/diagnostic.ts';
import { parseQuery } from '../../host/compiler/parser.ts';
import { constantOf } from '../../host/compiler/resolve-call.ts';
import type { ExpressionNode } from '../../host/compiler/syntax-tree.ts';
import { OPERATORS } from '../../host/functions/operators.ts';
import { callFunction, FUNCTION_NAMES, FUNCTIONS } from '../../host/functions/registry.ts';
import { formatValue, sameValue } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import { randomValue } from '../support/random-value.ts';

const SEED = 7;
const CASES = readFileSync('test/functions/cases.txt', 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' => ') as [call: string, value: string]);

function expression(text: string): ExpressionNode {
  const diagnostics = new DiagnosticList(text);
  const tree = parseQuery(`p(${text})`, diagnostics);
  const literal = tree?.body[0];
  assert.ok(literal?.kind === 'atom' && diagnostics.errorCount === 0, text);
  return literal.atom.arguments[0]?.value as ExpressionNode;
}

/** The call itself, its inputs being constants. */
function called(text: string): Value | undefined {
  const node = expression(text);
  assert.ok(node.kind === 'call', text);
  const inputs = node.arguments.map((one) => {
    const value = constantOf(one);
    assert.ok(value !== undefined, `an input of ${text} is no value`);
    return value;
  });
  return callFunction(node.name, inputs);
}

test('each case has its value, and the value reads back as itself', () => {
  for (const [call, expected] of CASES) {
    const value = called(call);
    assert.equal(value === undefined ? 'fails' : formatValue(value), expected, call);
    if (value === undefined) continue;
    const again = constantOf(expression(expected));
    assert.ok(again !== undefined && sameValue(again, value), `${expected} reads back`);
  }
});

test('every function has a case with a value', () => {
  const withValue = new Set(
    CASES.filter(([, value]) => value !== 'fails').map(([call]) =>
      call.slice(0, call.indexOf('(')),
    ),
  );
  const missing = FUNCTIONS.filter((one) => !withValue.has(one.name)).map((one) => one.name);
  assert.deepEqual(missing, []);
});

test('control: a function without cases is missed', () => {
  assert.ok(!CASES.some(([call]) => call.startsWith('no_such_function(')));
});

test('whatever the inputs are, a call has a value or fails, and the same again', () => {
  const random = randomFrom(SEED);
  for (const { name, inputs, optional } of FUNCTIONS) {
    for (let round = 0; round < 60; round++) {
      const count = inputs.length - random.int(optional + 1);
      const values = Array.from({ length: count }, () => randomValue(random, 2));
      const [first, second] = [callFunction(name, values), callFunction(name, values)];
      const shown = [first, second].map((one) => (one === undefined ? 'fails' : formatValue(one)));
      assert.equal(shown[0], shown[1], `${name}, seed ${SEED}`);
    }
  }
});

test('all builtins of Congress are here, those of z3 too', () => {
  const congress =
    'lt lteq gt gteq equal max plus minus mul div float int concat len unpack_date unpack_time ' +
    'unpack_datetime pack_time pack_date pack_datetime extract_date extract_time ' +
    'datetime_to_seconds datetime_plus datetime_minus datetime_lt datetime_lteq datetime_gt ' +
    'datetime_gteq datetime_equal ips_equal ips_lt ips_lteq ips_gt ips_gteq networks_equal ' +
    'networks_overlap ip_in_network validate_int validate_float validate_string and or bnot';
  const known = new Set([...FUNCTION_NAMES, ...OPERATORS.map((one) => one.name)]);
  assert.deepEqual(
    congress.split(' ').filter((name) => !known.has(name)),
    [],
  );
});
