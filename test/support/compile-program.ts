/** Generated programs and the compiler. */
import { compile } from '../../host/compiler/compile.ts';
import { renderDiagnostic } from '../../host/compiler/diagnostic.ts';
import type { Catalog } from '../../host/compiler/catalog.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import type { StratifiedProgram, StratifiedQuery } from '../../host/compiler/stratified.ts';
import { policyText } from './program-generator.ts';
import type { GeneratedProgram } from './program-generator.ts';

export function catalogOf(program: GeneratedProgram): Catalog {
  const tables = program.sourceTables.map(({ name, arity }) => ({ name, arity }));
  return {
    policies: program.policies.map((policy) => ({ name: policy.name, text: policyText(policy) })),
    sources: [{ name: 's', declared: true, tables }],
  };
}

/** Throws with the rendered diagnostics if there are errors. */
export function compileGenerated(program: GeneratedProgram): StratifiedProgram {
  const catalog = catalogOf(program);
  const compilation = compile(catalog);
  if (compilation.program !== undefined) return compilation.program;
  const errors = compilation.diagnostics.filter((one) => one.severity === 'error');
  const rendered = errors.map((error) => {
    const text = catalog.policies.find((policy) => policy.name === error.source)?.text ?? '';
    return renderDiagnostic(error, text);
  });
  throw new Error(`the program does not compile:\n${rendered.join('\n')}`);
}

/** Undefined where the program in force lacks a table of the query. */
export function compileGeneratedQuery(
  program: StratifiedProgram,
  generated: GeneratedProgram,
  text: string,
): StratifiedQuery | undefined {
  const { query, diagnostics } = compileQuery(program, catalogOf(generated), text);
  const other = diagnostics.find((one) => one.severity === 'error' && one.code !== 'unknown-table');
  if (other !== undefined) throw new Error(renderDiagnostic(other, text));
  return query;
}
