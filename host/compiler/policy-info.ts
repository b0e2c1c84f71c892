/**
 * What a policy says of itself: its kind, description and imports, and the metadata of its rules.
 *
 * Kinds are those of Congress. `action` describes effects of actions, `database` has facts and no
 * rules, `datasource` declarations only. `nonrecursive`, `materialized` and `z3` named engines of
 * Congress; here they are names: every policy may recur and is kept up to date.
 */
import { RESERVED_OWNERS } from './catalog.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { nearestName } from './nearest-name.ts';
import type { AnnotationNode, ImportNode, PolicyTree, StatementNode } from './syntax-tree.ts';

export const POLICY_KINDS = [
  'action',
  'database',
  'datasource',
  'materialized',
  'nonrecursive',
  'z3',
] as const;
export type PolicyKind = (typeof POLICY_KINDS)[number];

export const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface PolicyInfo {
  readonly name: string;
  readonly kind: PolicyKind;
  readonly description?: string;
  readonly abbreviation?: string;
  /** Names of policies, as written. */
  readonly imports: readonly string[];
}

/** Of a rule or fact: `@name`, `@comment`, `@severity`. */
export interface RuleMetadata {
  readonly name?: string;
  readonly comment?: string;
  readonly severity?: Severity;
}

const KEYS: Readonly<Record<StatementNode['kind'], readonly string[]>> = {
  rule: ['name', 'comment', 'severity'],
  declaration: ['description'],
  policy: ['description', 'abbreviation'],
  import: [],
  test: [],
};

const WHAT: Readonly<Record<StatementNode['kind'], string>> = {
  rule: 'a rule',
  declaration: 'a declaration',
  policy: 'the kind of a policy',
  import: 'an import',
  test: 'a test',
};

const KIND_NOTE = `kinds are ${POLICY_KINDS.map((kind) => `\`${kind}\``).join(', ')}`;

/** Reports what is wrong with the kind, the annotations and the places of statements. */
export function policyInfo(
  name: string,
  tree: PolicyTree,
  diagnostics: DiagnosticList,
): PolicyInfo {
  let info: PolicyInfo = { name, kind: 'nonrecursive', imports: [] };
  const imports: ImportNode[] = [];
  for (const [index, statement] of tree.statements.entries()) {
    checkAnnotations(statement, diagnostics);
    if (statement.kind === 'import') imports.push(statement);
    if (statement.kind !== 'policy') continue;
    const kind = kindOf(statement.policyKind);
    if (index > 0) {
      diagnostics.error(
        'policy-kind',
        statement.span,
        'the kind of a policy is its first statement',
        'write it before all others, once',
      );
    } else if (kind === undefined) {
      const nearest = nearestName(statement.policyKind, POLICY_KINDS);
      diagnostics.error(
        'policy-kind',
        statement.kindSpan,
        `there is no kind of policy \`${statement.policyKind}\``,
        nearest === undefined ? KIND_NOTE : `did you mean \`${nearest}\`?`,
      );
    } else {
      const annotations = annotationsOf(statement.annotations);
      info = { ...info, kind, ...annotations };
    }
  }
  checkImports(name, imports, diagnostics);
  for (const statement of tree.statements) checkKind(info.kind, statement, diagnostics);
  return { ...info, imports: [...new Set(imports.map((one) => one.policy))] };
}

/** Congress took kinds in any case. */
function kindOf(written: string): PolicyKind | undefined {
  const kind = written.toLowerCase();
  return POLICY_KINDS.find((one) => one === kind);
}

function annotationsOf(annotations: readonly AnnotationNode[] = []): Record<string, string> {
  return Object.fromEntries(annotations.map(({ key, value }) => [key, value]));
}

/** Of a rule whose annotations were checked. */
export function ruleMetadata(annotations: readonly AnnotationNode[] | undefined): RuleMetadata {
  return annotationsOf(annotations);
}

export function descriptionOf(annotations: readonly AnnotationNode[] = []): string | undefined {
  return annotations.find((one) => one.key === 'description')?.value;
}

function checkAnnotations(statement: StatementNode, diagnostics: DiagnosticList): void {
  const keys = KEYS[statement.kind];
  const seen = new Set<string>();
  for (const { key, value, span } of statement.annotations ?? []) {
    if (!keys.includes(key)) {
      const nearest = nearestName(key, keys);
      const listed = keys.map((one) => `\`@${one}\``).join(', ');
      diagnostics.error(
        'unknown-annotation',
        span,
        `${WHAT[statement.kind]} has no annotation \`@${key}\``,
        nearest !== undefined
          ? `did you mean \`@${nearest}\`?`
          : keys.length === 0
            ? 'it takes none'
            : `it can have ${listed}`,
      );
    } else if (seen.has(key)) {
      const note = 'write it once';
      diagnostics.error('unknown-annotation', span, `\`@${key}\` is there twice`, note);
    } else if (key === 'severity' && !SEVERITIES.some((one) => one === value)) {
      diagnostics.error(
        'unknown-annotation',
        span,
        `there is no severity \`${value}\``,
        `severities are ${SEVERITIES.map((one) => `\`${one}\``).join(', ')}`,
      );
    }
    seen.add(key);
  }
}

function checkKind(kind: PolicyKind, statement: StatementNode, diagnostics: DiagnosticList): void {
  if (statement.kind !== 'rule') return;
  const { head, body, span } = statement;
  if (head.sign !== undefined && kind !== 'action') {
    diagnostics.error(
      'action-policy',
      head.span,
      `\`${head.name.name}${head.sign}\` describes the effect of an action`,
      'begin the policy with `policy action`; negative facts are written with `not`, ' +
        'numbers with a sign need no space',
    );
  }
  if (kind === 'datasource' || (kind === 'database' && body.length > 0)) {
    const isFact = body.length === 0;
    diagnostics.error(
      'policy-kind',
      span,
      `a policy of kind \`${kind}\` has no ${isFact ? 'facts' : 'rules'}`,
      kind === 'database'
        ? 'it holds facts and declarations; write rules in another policy'
        : 'it declares tables that are filled from elsewhere; write the rest in another policy',
    );
  }
}

function checkImports(
  policy: string,
  imports: readonly ImportNode[],
  diagnostics: DiagnosticList,
): void {
  const aliases = new Map<string, string>();
  for (const { policy: target, alias, targetSpan } of imports) {
    if (target === policy) {
      const note = 'a policy has its own tables without an import';
      diagnostics.error('import-cycle', targetSpan, `\`${policy}\` imports itself`, note);
    }
    if (alias === undefined) continue;
    const { name, span } = alias;
    const taken = aliases.get(name);
    const note = 'choose another name after `as`';
    if (RESERVED_OWNERS.has(name)) {
      diagnostics.error('bad-import', span, `\`${name}\` is a name of the language`, note);
    } else if (name === policy) {
      diagnostics.error('bad-import', span, `\`${name}\` is the policy itself`, note);
    } else if (taken !== undefined && taken !== target) {
      diagnostics.error('bad-import', span, `\`${name}\` is the import of \`${taken}\``, note);
    }
    aliases.set(name, target);
  }
}
