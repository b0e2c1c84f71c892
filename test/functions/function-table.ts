/** The table of functions in `docs/LANGUAGE.md`, made from the registry. */
import type { FunctionDefinition } from '../../host/functions/definition.ts';
import { FUNCTIONS } from '../../host/functions/registry.ts';

export function functionTables(): string {
  const groups = [...new Set(FUNCTIONS.map((one) => one.group))];
  return groups
    .map((group) => {
      const title = `${group.charAt(0).toUpperCase()}${group.slice(1)}:`;
      const lines = FUNCTIONS.filter((one) => one.group === group).map(line);
      return [title, '', '| function | takes | gives | |', '|---|---|---|---|', ...lines].join(
        '\n',
      );
    })
    .join('\n\n');
}

function line(definition: FunctionDefinition): string {
  const { name, inputs, optional, isVariadic, aliases, doc } = definition;
  const names = inputs.map((one, index) =>
    index >= inputs.length - optional ? `${one.name}?` : one.name,
  );
  const kinds = inputs.map((one) => one.kind.name).join(', ');
  const also = aliases.map((alias) => `, also \`${alias}\``).join('');
  const signature = `\`${name}(${names.join(', ')}${isVariadic ? ', …' : ''})\`${also}`;
  const text = doc.replaceAll('|', '\\|');
  return `| ${signature} | ${kinds}${isVariadic ? ' …' : ''} | ${outputText(definition)} | ${text} |`;
}

function outputText({ output }: FunctionDefinition): string {
  switch (output.kind) {
    case 'test':
      return '';
    case 'value':
      return output.of;
    case 'columns':
      return output.names.join(', ');
    case 'rows':
      return `each ${output.names.join(', ')}`;
  }
}
