/**
 * Tree → a list of instructions for the matcher (Thompson, Regular expression search algorithm,
 * CACM 1968).
 */
import { RegexError } from './syntax.ts';
import type { AssertKind, Ranges, RegexNode, RegexTree } from './syntax.ts';

export type Instruction =
  | { readonly op: 'ranges'; readonly ranges: Ranges }
  | { readonly op: 'assert'; readonly what: AssertKind }
  /** Goes on at `first` and at `second`; `first` is preferred. */
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  /** Notes the position in a slot: two for each group. */
  | { readonly op: 'save'; readonly slot: number }
  | { readonly op: 'match' };

export interface RegexProgram {
  readonly instructions: readonly Instruction[];
  readonly groups: readonly (string | undefined)[];
}

/** Throws `RegexError` for more than `most` instructions. */
export function compileTree(tree: RegexTree, most: number): RegexProgram {
  const instructions: Instruction[] = [];
  const add = <I extends Instruction>(instruction: I): I => {
    if (instructions.length >= most) throw new RegexError('the pattern is too large', 0);
    instructions.push(instruction);
    return instruction;
  };
  const emit = (node: RegexNode): void => {
    switch (node.kind) {
      case 'ranges':
        add({ op: 'ranges', ranges: node.ranges });
        return;
      case 'assert':
        add({ op: 'assert', what: node.what });
        return;
      case 'sequence':
        for (const part of node.parts) emit(part);
        return;
      case 'choice':
        return emitChoice(node.parts);
      case 'group':
        add({ op: 'save', slot: node.index * 2 });
        emit(node.part);
        add({ op: 'save', slot: node.index * 2 + 1 });
        return;
      case 'repeat':
        emitRepeat(node);
    }
  };
  const emitChoice = (parts: readonly RegexNode[]): void => {
    const jumps: { op: 'jump'; to: number }[] = [];
    for (const [index, part] of parts.entries()) {
      if (index === parts.length - 1) {
        emit(part);
        continue;
      }
      const split = add({ op: 'split' as const, first: instructions.length + 1, second: 0 });
      emit(part);
      jumps.push(add({ op: 'jump' as const, to: 0 }));
      split.second = instructions.length;
    }
    for (const jump of jumps) jump.to = instructions.length;
  };
  const emitRepeat = (node: RegexNode & { kind: 'repeat' }): void => {
    const { part, least, most: bound, isLazy } = node;
    for (let count = 0; count < least; count++) emit(part);
    if (bound === Infinity) {
      const at = instructions.length;
      const split = add({ op: 'split' as const, first: 0, second: 0 });
      emit(part);
      add({ op: 'jump', to: at });
      point(split, at + 1, instructions.length, isLazy);
      return;
    }
    const splits: { split: { op: 'split'; first: number; second: number }; into: number }[] = [];
    for (let count = least; count < bound; count++) {
      const split = add({ op: 'split' as const, first: 0, second: 0 });
      splits.push({ split, into: instructions.length });
      emit(part);
    }
    for (const { split, into } of splits) point(split, into, instructions.length, isLazy);
  };
  add({ op: 'save', slot: 0 });
  emit(tree.root);
  add({ op: 'save', slot: 1 });
  add({ op: 'match' });
  return { instructions, groups: tree.groups };
}

function point(
  split: { op: 'split'; first: number; second: number },
  into: number,
  past: number,
  isLazy: boolean,
): void {
  split.first = isLazy ? past : into;
  split.second = isLazy ? into : past;
}
