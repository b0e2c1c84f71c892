/**
 * Tests in the text of a policy. An error gives up its step only.
 *
 *   test   = "test" string "{" {given | expect} "}"
 *   given  = "given" ("now" string | atom {"," atom}) ["." | ";"]
 *   expect = "expect" ("only" atom {"," atom} | literal {"," literal}) ["." | ";"]
 */
import { DIAGNOSTICS_MAX } from '../limits.ts';
import type { Comment } from './lexer.ts';
import { splitTail } from './statement-parser.ts';
import type { StatementClosing, StatementOpening } from './statement-parser.ts';
import type { AtomNode, ExpectNode, GivenNode, LiteralNode, TestNode } from './syntax-tree.ts';
import { ParseFailure } from './token-reader.ts';
import type { TokenReader } from './token-reader.ts';

/** What of the language a test is made of. */
export interface TestGrammar {
  readonly atom: () => AtomNode;
  readonly body: (leading: Comment[]) => LiteralNode[];
  readonly closing: (opening: StatementOpening, inner: readonly Comment[]) => StatementClosing;
  readonly takeTrailing: () => Comment[];
}

type Step = GivenNode | ExpectNode;

export class TestParser {
  readonly #reader: TokenReader;
  readonly #grammar: TestGrammar;

  constructor(reader: TokenReader, grammar: TestGrammar) {
    this.#reader = reader;
    this.#grammar = grammar;
  }

  /** From the word `test`, which a string follows. */
  test(opening: StatementOpening): TestNode {
    const reader = this.#reader;
    const { start, annotations, leading, detached, blankLineBefore } = opening;
    reader.advance();
    const name = reader.advance();
    reader.expect('{', 'to begin the test');
    const inner = reader.takeInnerComments(start);
    const steps = this.#steps();
    const endComments = reader.takeComments();
    reader.expect('}', 'at the end of the test');
    const comments = splitTail([...leading, ...inner], this.#grammar.takeTrailing(), detached);
    return {
      kind: 'test',
      name: name.text,
      nameSpan: { start: name.start, end: name.end },
      steps,
      endComments,
      ...(annotations.length === 0 ? {} : { annotations }),
      ...(comments === undefined ? {} : { comments }),
      blankLineBefore,
      span: { start, end: reader.previousEnd },
    };
  }

  #steps(): Step[] {
    const reader = this.#reader;
    const steps: Step[] = [];
    while (!reader.isMark('}') && reader.token.kind !== 'end') {
      reader.beginStatement();
      const { start } = reader.token;
      try {
        steps.push(this.#step());
      } catch (failure) {
        if (!(failure instanceof ParseFailure)) throw failure;
        if (reader.diagnostics.errorCount >= DIAGNOSTICS_MAX) throw failure;
        if (!this.#recover(start)) throw failure;
      }
    }
    return steps;
  }

  /** To the next step or the end of the test; false where the test seems to have none. */
  #recover(stepStart: number): boolean {
    const reader = this.#reader;
    while (reader.token.kind !== 'end') {
      const { kind, firstOnLine, start } = reader.token;
      if (reader.isMark('}')) return true;
      if (kind === 'name' && firstOnLine) {
        const isStep = reader.isName('given') || reader.isName('expect');
        if (isStep && start > stepStart) return true;
        if (!isStep && reader.column() === 0) return false;
      }
      const ends = reader.isMark('.') || reader.isMark(';');
      reader.advance();
      if (ends) return true;
    }
    return false;
  }

  #step(): Step {
    const reader = this.#reader;
    const { blankLineBefore } = reader.firstTrivia();
    const leading = reader.takeComments();
    const { start } = reader.token;
    if (!reader.isName('given') && !reader.isName('expect')) {
      const note = 'a test is written `test "name" { given …  expect … }`';
      reader.failExpected('`given`, `expect` or `}`', note);
    }
    const read = reader.advance().text === 'given' ? this.#given() : this.#expect();
    const opening = { leading, annotations: [], blankLineBefore, detached: false };
    const { terminated: _, ...closing } = this.#grammar.closing(
      { ...opening, sharesLine: false, start },
      reader.takeInnerComments(start),
    );
    return { ...read, ...closing };
  }

  #given(): Pick<GivenNode, 'kind' | 'rows' | 'now'> {
    const reader = this.#reader;
    if (reader.isName('now') && reader.peek().kind === 'string') {
      reader.advance();
      const time = reader.advance();
      const now = { text: time.text, span: { start: time.start, end: time.end } };
      return { kind: 'given', rows: [], now };
    }
    return { kind: 'given', rows: this.#atoms() };
  }

  #expect(): Pick<ExpectNode, 'kind' | 'only' | 'body'> {
    const reader = this.#reader;
    if (!reader.isName('only') || reader.peek().kind !== 'name') {
      return { kind: 'expect', only: false, body: this.#grammar.body(reader.takeComments()) };
    }
    reader.advance();
    const body = this.#atoms().map((atom): LiteralNode => {
      return { kind: 'atom', negated: false, atom, span: atom.span };
    });
    return { kind: 'expect', only: true, body };
  }

  #atoms(): AtomNode[] {
    const reader = this.#reader;
    const atoms: AtomNode[] = [];
    for (;;) {
      if (reader.isNegation()) {
        const note = 'what is not given is not there; `expect not …` asks for absence';
        reader.fail('negated-head', reader.span(), 'a row cannot be negated here', note);
      }
      atoms.push(this.#grammar.atom());
      if (!reader.isMark(',')) return atoms;
      reader.advance();
    }
  }
}
