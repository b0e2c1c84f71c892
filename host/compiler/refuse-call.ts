import { FUNCTION_NAMES } from '../functions/registry.ts';
import { AGGREGATES, BUILTIN_NAMES, isAggregate } from './builtins.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { nearestName } from './nearest-name.ts';
import type { CallNode } from './syntax-tree.ts';

/** An aggregate, a builtin or an unknown name in the place of a value. */
export function refuseCall(diagnostics: DiagnosticList, node: CallNode): void {
  const shown = `\`${node.name}(…)\``;
  if (isAggregate(node.name)) {
    diagnostics.error(
      'misplaced-aggregate',
      node.span,
      `the aggregate ${shown} can only be an argument of a head, by itself`,
      'compute it in a rule of its own and use that table here',
    );
  } else if (BUILTIN_NAMES.includes(node.name)) {
    diagnostics.error(
      'not-a-value',
      node.span,
      `the builtin ${shown} is a table, not a value`,
      'write an operator, or the builtin as a literal of the body, its output as last argument',
    );
  } else {
    const nearest = nearestName(node.name, [...AGGREGATES, ...FUNCTION_NAMES]);
    diagnostics.error(
      'unknown-function',
      node.span,
      `there is no function \`${node.name}\``,
      nearest === undefined
        ? 'a table is read as a literal of the body'
        : `did you mean \`${nearest}\`?`,
    );
  }
}
