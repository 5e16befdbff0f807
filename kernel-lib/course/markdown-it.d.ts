/** Owns the types of the part of markdown-it that chapters use (the package ships none). */
declare module "markdown-it" {
  interface Token {
    readonly type: string;
    readonly tag: string;
    /** First line, and the line after the last, from 0; null for inline tokens. */
    readonly map: [number, number] | null;
    readonly level: number;
    readonly content: string;
    readonly info: string;
    readonly markup: string;
    readonly children: readonly Token[] | null;
  }
  class MarkdownIt {
    constructor(options?: { html?: boolean; linkify?: boolean });
    parse(text: string, env: Record<string, unknown>): Token[];
    render(text: string, env?: Record<string, unknown>): string;
  }
  export = MarkdownIt;
}
