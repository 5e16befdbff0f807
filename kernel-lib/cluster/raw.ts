/** Owns how a tag reads its template literal: raw, with only the escapes of the backtick and of `${` undone. */

/**
 * The texts between the holes of a template literal, from its raw strings (`strings.raw` of a tag).
 *
 * A run of backslashes before a backtick or `${`, or at the end of a text, was written doubled (and one more before
 * the backtick or `${`); it is halved again. Every other backslash stands for itself, as in a shell.
 */
export function decodeRaw(raw: readonly string[]): string[] {
  return raw.map((text) => text.replace(/(\\+)(?=`|\$\{|$)/g, (run) => run.slice(0, run.length >> 1)));
}
