/** Owns the shape of a parsed Go template: what stands in a file between its first and last character. */

/** A value's way: a name or literal, and the fields behind it. */
export type Operand =
  | { readonly is: "dot"; readonly fields: readonly string[]; readonly at: number; readonly shown: string }
  | {
      readonly is: "variable";
      readonly name: string;
      readonly fields: readonly string[];
      readonly at: number;
      readonly shown: string;
    }
  | { readonly is: "function"; readonly name: string; readonly at: number; readonly shown: string }
  | {
      readonly is: "literal";
      readonly value: string | number | boolean | null;
      readonly at: number;
      readonly shown: string;
    }
  | {
      readonly is: "pipeline";
      readonly pipeline: Pipeline;
      readonly fields: readonly string[];
      readonly at: number;
      readonly shown: string;
    };

/** A function or method with its arguments, or one value. */
export interface Command {
  readonly words: readonly Operand[];
  readonly at: number;
  readonly shown: string;
}

export interface Pipeline {
  /** `$x := …`, `$i, $x := …`, `$x = …`. */
  readonly variables: readonly string[];
  readonly declares: boolean;
  readonly commands: readonly Command[];
  readonly at: number;
  readonly shown: string;
}

export type Node =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "print"; readonly pipeline: Pipeline }
  | {
      readonly is: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | {
      readonly is: "template";
      readonly name: string;
      readonly pipeline: Pipeline | undefined;
      readonly at: number;
      readonly shown: string;
    }
  | { readonly is: "break" | "continue" };

/** One named template. */
export interface Tree {
  /** What `define` calls it, or its file. */
  readonly name: string;
  /** The file it stands in: what errors name. */
  readonly file: string;
  readonly source: string;
  readonly body: readonly Node[];
}
