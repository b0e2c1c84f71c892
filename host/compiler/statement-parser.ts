/**
 * What begins and ends every statement (annotations, comments, the end mark), and the statements
 * that begin with a word: declarations, imports, the kind of the policy.
 */
import { ANNOTATIONS_MAX, ARITY_MAX, IDENTIFIER_CHARS_MAX } from '../limits.ts';
import { ARITY_NOTE, arityMessage, AtomParser } from './atom-parser.ts';
import { isKeyword } from './expression-parser.ts';
import { policyNameOfPath } from './import-path.ts';
import type { Comment, Token } from './lexer.ts';
import type { Span } from './source-text.ts';
import type {
  AnnotationNode,
  ColumnNode,
  CommentsNode,
  DeclarationNode,
  ImportNode,
  PolicyKindNode,
} from './syntax-tree.ts';

/** What was read before the first word of a statement. */
export interface StatementOpening {
  readonly leading: readonly Comment[];
  readonly annotations: readonly AnnotationNode[];
  readonly blankLineBefore: boolean;
  readonly detached: boolean;
  readonly sharesLine: boolean;
  readonly start: number;
}

/** What stands around a statement, and whether a `.` or `;` ended it. */
export interface StatementClosing {
  readonly annotations?: readonly AnnotationNode[];
  readonly comments?: CommentsNode;
  readonly blankLineBefore: boolean;
  readonly terminated: boolean;
  readonly span: Span;
}

export class StatementParser extends AtomParser {
  protected opening(): StatementOpening {
    const { blankLineBefore } = this.firstTrivia();
    const leading = this.takeComments();
    const { start, firstOnLine } = this.token;
    const detached = leading.length > 0 && this.token.blankLineBefore;
    const annotations: AnnotationNode[] = [];
    while (this.isMark('@')) {
      annotations.push(this.#annotation());
      if (annotations.length > ANNOTATIONS_MAX) {
        const { span } = annotations[ANNOTATIONS_MAX] as AnnotationNode;
        const message = `the statement has more than ${ANNOTATIONS_MAX} annotations`;
        this.fail('limit-exceeded', span, message, 'leave some of them out');
      }
    }
    return { leading, annotations, blankLineBefore, detached, sharesLine: !firstOnLine, start };
  }

  /** Reads the end of a statement, if there is one, with the comments that are not of the next. */
  protected closing(opening: StatementOpening, inner: readonly Comment[]): StatementClosing {
    const { annotations, leading, detached, start, blankLineBefore } = opening;
    const terminated = this.endsStatement();
    const tail = terminated ? this.takeComments() : this.takeTrailing();
    if (terminated) {
      this.advance();
      tail.push(...this.takeTrailing());
    }
    const comments = splitTail([...leading, ...inner], tail, detached);
    return {
      ...(annotations.length === 0 ? {} : { annotations }),
      ...(comments === undefined ? {} : { comments }),
      blankLineBefore,
      terminated,
      span: { start, end: this.previousEnd },
    };
  }

  /** Same-line comments before the current token belong to what ended before it. */
  protected takeTrailing(): Comment[] {
    return this.takeComments((comment) => comment.sameLine);
  }

  protected endsStatement(): boolean {
    return this.isMark('.') || this.isMark(';');
  }

  /** A statement that begins with a word of its own; undefined where a rule begins. */
  protected wordStatement(
    opening: StatementOpening,
  ): DeclarationNode | ImportNode | PolicyKindNode | undefined {
    const next = this.peek();
    const named = next.kind === 'name' && !next.firstOnLine && !isKeyword(next);
    if (this.isName('table') && named) return this.#declaration(opening);
    if (this.isName('policy') && named) return this.#policyKind(opening);
    if (this.isName('import') && (named || next.kind === 'string')) return this.#import(opening);
    return undefined;
  }

  #annotation(): AnnotationNode {
    const { start } = this.advance();
    if (!this.isKind('name')) {
      const note = 'an annotation is written `@name("text")`';
      this.failExpected('the name of an annotation after `@`', note);
    }
    const key = this.advance();
    this.expect('(', `after \`@${key.text}\``);
    if (!this.isKind('string')) {
      const what = `a string, as in \`@${key.text}("…")\``;
      this.failExpected(what, 'write its value in quotes');
    }
    const value = this.advance();
    this.expect(')', 'to close the annotation');
    return { key: key.text, value: value.text, span: { start, end: this.previousEnd } };
  }

  #policyKind(opening: StatementOpening): PolicyKindNode {
    this.advance();
    const kind = this.advance();
    const { terminated: _, ...closing } = this.closing(
      opening,
      this.takeInnerComments(opening.start),
    );
    return { kind: 'policy', policyKind: kind.text, kindSpan: spanOf(kind), ...closing };
  }

  #import(opening: StatementOpening): ImportNode {
    this.advance();
    const target = this.advance();
    const isPath = target.kind === 'string';
    const policy = isPath ? policyNameOfPath(target.text) : target.text;
    const targetSpan = spanOf(target);
    if (policy === '' || policy.length > IDENTIFIER_CHARS_MAX) {
      const what = isPath ? `the path \`${target.text}\`` : 'the name';
      this.fail('bad-import', targetSpan, `${what} names no policy`, IMPORT_NOTE);
    }
    let alias: { name: string; span: Span } | undefined;
    if (this.isName('as') && this.peek().kind === 'name' && !this.peek().firstOnLine) {
      this.advance();
      const name = this.advance();
      alias = { name: name.text, span: spanOf(name) };
    }
    const { terminated: _, ...closing } = this.closing(
      opening,
      this.takeInnerComments(opening.start),
    );
    return {
      kind: 'import',
      policy,
      ...(isPath ? { path: target.text } : {}),
      ...(alias === undefined ? {} : { alias }),
      targetSpan,
      ...closing,
    };
  }

  #declaration(opening: StatementOpening): DeclarationNode {
    this.advance();
    const name = this.tableName();
    const columns: ColumnNode[] = [];
    if (this.isMark('(')) {
      this.advance();
      while (!this.isMark(')')) {
        columns.push(this.#column());
        if (this.isMark(')')) break;
        this.expect(',', 'between columns');
      }
      this.advance();
    }
    if (columns.length > ARITY_MAX) {
      const message = arityMessage(name.name, columns.length);
      this.fail('limit-exceeded', name.span, message, ARITY_NOTE);
    }
    const onDemand = this.#onDemand();
    const { terminated: _, ...closing } = this.closing(
      opening,
      this.takeInnerComments(opening.start),
    );
    return { kind: 'declaration', name, columns, ...onDemand, ...closing };
  }

  #onDemand(): { onDemand?: true } {
    const next = this.peek();
    const isThere = this.isName('on') && !this.token.firstOnLine && next.text === 'demand';
    if (!isThere || next.kind !== 'name' || next.firstOnLine) return {};
    this.advance();
    this.advance();
    return { onDemand: true };
  }

  #column(): ColumnNode {
    if (!this.isKind('name')) {
      this.failExpected(
        'the name of a column',
        'columns are written `name: type`, such as `id: string`',
      );
    }
    const name = this.advance();
    let type: ColumnNode['type'];
    if (this.isMark(':')) {
      this.advance();
      if (!this.isKind('name')) {
        this.failExpected('the type of the column', 'types are `string`, `int`, `float`, `bool` …');
      }
      const token = this.advance();
      type = { name: token.text, span: spanOf(token) };
    }
    const words = new Set<string>();
    while (this.isName('key') || this.isName('nullable')) {
      const word = this.advance();
      if (words.has(word.text)) {
        this.fail('syntax', spanOf(word), `\`${word.text}\` is there twice`, 'write it once');
      }
      words.add(word.text);
    }
    const description = this.isKind('string') ? this.advance().text : undefined;
    return {
      name: name.text,
      ...(type === undefined ? {} : { type }),
      ...(words.has('key') ? { key: true } : {}),
      ...(words.has('nullable') ? { nullable: true } : {}),
      ...(description === undefined ? {} : { description }),
      span: spanOf(name),
    };
  }
}

const IMPORT_NOTE = 'write `import name`, or `import "folder/name.dl"` with the path of a file';

function spanOf({ start, end }: Token): Span {
  return { start, end };
}

export function commentsOf(
  leading: readonly Comment[],
  trailing: readonly Comment[],
  detached = false,
): CommentsNode | undefined {
  if (leading.length + trailing.length === 0) return undefined;
  return { leading, trailing, detached };
}

/** Only one line comment fits behind a line, and only at its end: the others move before it. */
export function splitTail(
  leading: readonly Comment[],
  tail: readonly Comment[],
  detached = false,
): CommentsNode | undefined {
  const fits = (comment: Comment, index: number): boolean =>
    !comment.text.includes('\n') && (comment.text.startsWith('/*') || index === tail.length - 1);
  return commentsOf(
    [...leading, ...tail.filter((comment, index) => !fits(comment, index))],
    tail.filter(fits),
    detached,
  );
}
