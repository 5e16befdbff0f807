/** Owns what notebooks and the kernel say of the language: both the same, or a notebook that is only opened counts as changed. */

/** The TypeScript that tslab brings. */
export const typescriptVersion = "5.0.4";

/** `language_info` of the kernel_info reply and of a notebook's metadata (Jupyter messaging, "Kernel info"). */
export const languageInfo = {
  // One word: where it is an object, JupyterLab looks at its `name` only, and colours cells as JavaScript.
  codemirror_mode: "typescript",
  file_extension: ".ts",
  mimetype: "text/typescript",
  name: "typescript",
  nbconvert_exporter: "script",
  pygments_lexer: "typescript",
  version: typescriptVersion,
} as const;
