/** What the parser makes of a text: names as written, nothing resolved. Spans are into the text. */
import type { Value } from '../value/value.ts';
import type { Comment } from './lexer.ts';
import type { Span } from './source-text.ts';
import type { ComparisonOperator, ComputeOperator } from './stratified.ts';

/** `owner:name`; further colons belong to the name. */
export interface NameNode {
  readonly owner?: string;
  readonly name: string;
  readonly span: Span;
}

export interface VariableNode {
  readonly kind: 'variable';
  readonly name: string;
  readonly span: Span;
}
/** `_` */
export interface WildcardNode {
  readonly kind: 'wildcard';
  readonly span: Span;
}
export interface ConstantNode {
  readonly kind: 'constant';
  readonly value: Value;
  readonly span: Span;
}
/** `-x`; a minus before a number is part of the constant. */
export interface NegateNode {
  readonly kind: 'negate';
  readonly operand: ExpressionNode;
  readonly span: Span;
}
export interface BinaryNode {
  readonly kind: 'binary';
  readonly operator: ComputeOperator;
  readonly left: ExpressionNode;
  readonly right: ExpressionNode;
  readonly span: Span;
}
/** `[x, 1]` */
export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly ExpressionNode[];
  readonly span: Span;
}
/** `{"a": x}` */
export interface DocumentNode {
  readonly kind: 'document';
  readonly members: readonly { readonly name: string; readonly value: ExpressionNode }[];
  readonly span: Span;
}
/** A function of values, an aggregate in a head, or a mistake that `resolve.ts` names. */
export interface CallNode {
  readonly kind: 'call';
  readonly name: string;
  readonly arguments: readonly ExpressionNode[];
  readonly span: Span;
}
export type ExpressionNode =
  | VariableNode
  | WildcardNode
  | ConstantNode
  | NegateNode
  | BinaryNode
  | ListNode
  | DocumentNode
  | CallNode;

/** A value by position, or for a column by its name or 0-based number. */
export interface ArgumentNode {
  readonly column?: string | number;
  readonly value: ExpressionNode;
  readonly span: Span;
}

export interface AtomNode {
  readonly modal?: 'execute';
  readonly name: NameNode;
  /** `p+(…)`, `p-(…)`: what an action adds to `p`, or takes away. */
  readonly sign?: '+' | '-';
  readonly arguments: readonly ArgumentNode[];
  readonly span: Span;
}

/**
 * Comments of a statement or body literal: those on lines before it, those after it on its line.
 */
export interface CommentsNode {
  readonly leading: readonly Comment[];
  readonly trailing: readonly Comment[];
  /** A blank line stands between those before and the statement. */
  readonly detached: boolean;
}

export interface AtomLiteralNode {
  readonly kind: 'atom';
  readonly negated: boolean;
  readonly atom: AtomNode;
  readonly comments?: CommentsNode;
  readonly span: Span;
}
export interface ComparisonNode {
  readonly kind: 'comparison';
  readonly negated: boolean;
  readonly operator: ComparisonOperator;
  readonly left: ExpressionNode;
  readonly right: ExpressionNode;
  readonly comments?: CommentsNode;
  readonly span: Span;
}
export type LiteralNode = AtomLiteralNode | ComparisonNode;

/** `@name("open ports")` before a statement. */
export interface AnnotationNode {
  readonly key: string;
  readonly value: string;
  readonly span: Span;
}

/** What stands around every statement. */
interface StatementParts {
  readonly annotations?: readonly AnnotationNode[];
  readonly comments?: CommentsNode;
  readonly blankLineBefore: boolean;
  readonly span: Span;
}

/** A rule; a fact where the body is empty. */
export interface RuleNode extends StatementParts {
  readonly kind: 'rule';
  readonly head: AtomNode;
  readonly body: readonly LiteralNode[];
  /** Whether a `.` or `;` ended it, and whether it began on the line where another one ended. */
  readonly terminated: boolean;
  readonly sharesLine: boolean;
}

/** `id: string key "what it is"` */
export interface ColumnNode {
  readonly name: string;
  /** As written; absent where the declaration gives none. */
  readonly type?: { readonly name: string; readonly span: Span };
  readonly key?: true;
  readonly nullable?: true;
  readonly description?: string;
  readonly span: Span;
}
/** `table servers(id: string, …)` */
export interface DeclarationNode extends StatementParts {
  /** `on demand` stands behind the columns. */
  readonly onDemand?: true;
  readonly kind: 'declaration';
  readonly name: NameNode;
  readonly columns: readonly ColumnNode[];
}

/** `import "lib/common.dl"`, `import common`, either with `as c`. */
export interface ImportNode extends StatementParts {
  readonly kind: 'import';
  /** The policy: as written, or the base name of the file without its last extension. */
  readonly policy: string;
  /** As written, relative to the file that imports. */
  readonly path?: string;
  readonly alias?: { readonly name: string; readonly span: Span };
  /** Of the name or path. */
  readonly targetSpan: Span;
}

/** `policy action`: the kind of the policy, as its first statement. */
export interface PolicyKindNode extends StatementParts {
  readonly kind: 'policy';
  /** As written. */
  readonly policyKind: string;
  readonly kindSpan: Span;
}

/** `given p(1), q("a").`, or `given now "2031-05-01 00:00:00".` */
export interface GivenNode extends StatementParts {
  readonly kind: 'given';
  readonly rows: readonly AtomNode[];
  readonly now?: { readonly text: string; readonly span: Span };
}
/** `expect p(x), not q(x).`; with `only`: the tables of the atoms have these rows and no others. */
export interface ExpectNode extends StatementParts {
  readonly kind: 'expect';
  readonly only: boolean;
  readonly body: readonly LiteralNode[];
}
/** `test "name" { … }`: no part of the policy's tables; `caucus test` runs it. */
export interface TestNode extends StatementParts {
  readonly kind: 'test';
  readonly name: string;
  readonly nameSpan: Span;
  readonly steps: readonly (GivenNode | ExpectNode)[];
  /** Before the closing brace. */
  readonly endComments: readonly Comment[];
}
export type StatementNode = RuleNode | DeclarationNode | ImportNode | PolicyKindNode | TestNode;

export interface PolicyTree {
  readonly statements: readonly StatementNode[];
  /** Comments after the last statement. */
  readonly endComments: readonly Comment[];
  /** Statements are missing that could not be read. */
  readonly hasErrors: boolean;
}

/** Statements at the beginning of a text that are known from another one. */
export interface SharedStatements {
  readonly statements: readonly StatementNode[];
  /** Where they end: the beginning of a line. */
  readonly end: number;
}

export interface QueryTree {
  readonly body: readonly LiteralNode[];
  readonly span: Span;
}
