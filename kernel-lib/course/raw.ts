/** Owns how text is written into a template literal, so that what reads the literal's raw strings gets the text back. */

/**
 * The text as the inside of a template literal that is read raw (`String.raw`-like tags: `sh`, `file`).
 *
 * Only what would end the literal or open a hole is touched: a run of n backslashes before a backtick or `${` becomes
 * 2n + 1 of them, a run at the very end 2n. So `\n`, `\d` and the backslash that continues a line stay as typed.
 * Line ends become LF, because raw strings know no other (ECMA-262, "Static Semantics: TRV").
 */
export function encodeRaw(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/(\\*)(`|\$\{)/g, "$1$1\\$2")
    .replace(/\\+$/, "$&$&");
}
