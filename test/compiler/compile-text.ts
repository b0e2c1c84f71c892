/** Short ways to compile in tests: policies as texts, an expected span as «marks» in the text. */
import assert from 'node:assert/strict';
import type { CatalogSource } from '../../host/compiler/catalog.ts';
import { compile } from '../../host/compiler/compile.ts';
import type { Compilation, CompileOptions } from '../../host/compiler/compile.ts';
import type { Diagnostic } from '../../host/compiler/diagnostic.ts';
import { renderDiagnostic } from '../../host/compiler/diagnostic.ts';
import { printValue } from '../../host/compiler/print-value.ts';
import type { Span } from '../../host/compiler/source-text.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type {
  HeadTerm,
  Literal,
  Rule,
  StratifiedProgram,
  Table,
  Term,
} from '../../host/compiler/stratified.ts';

export type Policies = string | Readonly<Record<string, string>>;

/** One text is the policy `p`. */
export function compileText(
  policies: Policies,
  sources: readonly CatalogSource[] = [],
  options: CompileOptions = {},
): Compilation {
  const texts = typeof policies === 'string' ? { p: policies } : policies;
  const list = Object.entries(texts).map(([name, text]) => ({ name, text }));
  return compile({ policies: list, sources }, options);
}

/** The program of texts without errors. */
export function programOf(
  policies: Policies,
  sources: readonly CatalogSource[] = [],
  options: CompileOptions = {},
): StratifiedProgram {
  const { program, diagnostics } = compileText(policies, sources, options);
  assert.ok(program !== undefined, render(diagnostics, policies));
  return program;
}

export function codesOf(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map((one) => one.code);
}

export function errorsOf(policies: Policies, sources: readonly CatalogSource[] = []): Diagnostic[] {
  const { diagnostics } = compileText(policies, sources);
  return diagnostics.filter((one) => one.severity === 'error');
}

export function render(diagnostics: readonly Diagnostic[], policies: Policies): string {
  return diagnostics
    .map((one) => {
      const text = typeof policies === 'string' ? policies : (policies[one.source ?? ''] ?? '');
      return renderDiagnostic(one, text);
    })
    .join('\n');
}

/** A text with one «marked» part → the text and the span of the part. */
export function marked(text: string): { text: string; span: Span } {
  const start = text.indexOf('«');
  const end = text.indexOf('»') - 1;
  assert.ok(start >= 0 && end >= start, 'the text has «marks»');
  return { text: text.replace('«', '').replace('»', ''), span: { start, end } };
}

/** A rule in a form that tests can compare: `p:a(x, $1) :- p:b(x, _), $1 = x + 1`. */
export function showRule(rule: Rule, tables: readonly Table[]): string {
  const head = showAtom(
    tables[rule.head],
    rule.headTerms.map((term) => showTerm(term, rule)),
  );
  if (rule.body.length === 0) return head;
  return `${head} :- ${showBody(rule.body, rule, tables)}`;
}

export function showRules(program: StratifiedProgram): string[] {
  return program.rules.map((rule) => showRule(rule, program.tables));
}

export function showBody(
  body: readonly Literal[],
  scope: { readonly variables: readonly string[] },
  tables: readonly Table[],
): string {
  return body.map((literal) => showLiteral(literal, scope, tables)).join(', ');
}

function showLiteral(
  literal: Literal,
  scope: { readonly variables: readonly string[] },
  tables: readonly Table[],
): string {
  if (literal.kind === 'atom') {
    const atom = showAtom(
      tables[literal.table],
      literal.terms.map((term) => showTerm(term, scope)),
    );
    return literal.negated ? `not ${atom}` : atom;
  }
  if (literal.kind === 'each') {
    return `${showTerm(literal.output, scope)} in ${showTerm(literal.list, scope)}`;
  }
  if (literal.kind === 'call') {
    const inputs = literal.inputs.map((input) => showTerm(input, scope));
    return `${showTerm(literal.output, scope)} = ${literal.function}(${inputs.join(', ')})`;
  }
  const left = showTerm(literal.left, scope);
  const right = showTerm(literal.right, scope);
  if (literal.kind === 'comparison') return `${left} ${literal.operator} ${right}`;
  return `${showTerm(literal.output, scope)} = ${left} ${literal.operator} ${right}`;
}

function showAtom(table: Table | undefined, terms: string[]): string {
  assert.ok(table !== undefined);
  assert.equal(terms.length, table.arity);
  return `${tableKey(table)}(${terms.join(', ')})`;
}

function showTerm(term: Term | HeadTerm, scope: { readonly variables: readonly string[] }): string {
  switch (term.kind) {
    case 'variable':
      return scope.variables[term.index] ?? '?';
    case 'constant':
      return printValue(term.value);
    case 'wildcard':
      return '_';
    case 'aggregate': {
      const argument = term.argument === undefined ? '' : showTerm(term.argument, scope);
      return `${term.function}(${argument})`;
    }
  }
}
