/** Owns the colours of pictures: told apart by colour-blind readers, and the same pod in the same colour all through a cluster's life. */

/** Okabe and Ito's palette, without the yellow that white paper swallows and the black that dark pages do. */
export const palette = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"] as const;

/** Text, axes and rules: readable on white and on black. */
export const grey = "#888888";

/** Which colours have been given, by whose pods they are. */
const given = new WeakMap<object, Map<string, string>>();

/**
 * The colour of each label. A label keeps its colour for as long as `owner` (a cluster's store) lives;
 * with more labels than colours, they are used again.
 */
export function coloursOf(owner: object, labels: readonly string[]): Readonly<Record<string, string>> {
  const known = given.get(owner) ?? new Map<string, string>();
  given.set(owner, known);
  for (const label of labels) {
    if (!known.has(label)) known.set(label, palette[known.size % palette.length] ?? grey);
  }
  return Object.fromEntries(labels.map((label) => [label, known.get(label) ?? grey]));
}
