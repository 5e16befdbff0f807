/** Owns what the tests of pictures ask of a drawing: which boxes there are, and which texts meet. */
import { type Box, boxOfText, type Drawing, type Mark, textsOf } from "../../kernel-lib/cluster/drawing";

function meet(one: Box, other: Box): boolean {
  const across = one.x < other.x + other.width && other.x < one.x + one.width;
  return across && one.y < other.y + other.height && other.y < one.y + one.height;
}

/** Pairs of texts that lie on one another, and texts that hang out of the picture. */
export function clashes({ marks, width, height }: Drawing): readonly string[] {
  const texts = textsOf(marks).map((mark) => ({ text: mark.text, box: boxOfText(mark) }));
  const pairs = texts.flatMap((one, at) =>
    texts.slice(at + 1).flatMap((other) => (meet(one.box, other.box) ? [`${one.text} / ${other.text}`] : [])),
  );
  const outside = texts.filter(
    ({ box }) => box.x < 0 || box.y < 0 || box.x + box.width > width || box.y + box.height > height,
  );
  return [...pairs, ...outside.map(({ text }) => `${text} hangs out`)];
}

/** The names that groups and boxes have, in order. */
export function namesIn(marks: readonly Mark[]): readonly string[] {
  return marks.flatMap((mark) => {
    const own = (mark.type === "group" || mark.type === "box") && mark.name !== undefined ? [mark.name] : [];
    return mark.type === "group" ? [...own, ...namesIn(mark.marks)] : own;
  });
}
