import type { PolicyText } from './policy-file.ts';

/** Where policies stand. */
export class Places {
  readonly #sources: ReadonlyMap<string, PolicyText>;

  constructor(sources: readonly PolicyText[]) {
    this.#sources = new Map(sources.map((source) => [source.name, source]));
  }

  file(policy: string): string {
    return this.#sources.get(policy)?.file ?? policy;
  }

  line(policy: string, offset: number): number {
    const text = this.#sources.get(policy)?.text ?? '';
    let line = 1;
    for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) {
      line++;
    }
    return line;
  }

  text(policy: string, span: { readonly start: number; readonly end: number }): string {
    const text = this.#sources.get(policy)?.text ?? '';
    return text.slice(span.start, span.end).replace(/\s+/g, ' ');
  }
}
