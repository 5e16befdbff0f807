/** Owns the small box of one device, pod or machine in a topology, with its words. */
import { type Box, type BoxMark, ink, type Mark, shorten, type TextMark } from "./drawing";

export interface Chip {
  readonly box: Box;
  /** The small line at the bottom of a pod, at the top of all others. */
  readonly label: string;
  readonly labelColour?: string;
  readonly name: string;
  readonly lines: readonly string[];
  readonly colour: string;
  readonly radius: number;
  readonly thickness?: number;
  readonly hint: string;
}

/** A box with up to three kinds of text, one under the other. */
export function chip({ box, label, labelColour, name, lines, colour, radius, thickness, hint }: Chip): Mark {
  const middle = box.x + box.width / 2;
  const room = box.width - 10;
  const frame: BoxMark = {
    type: "box",
    ...box,
    radius,
    stroke: colour,
    fill: colour,
    fillOpacity: 0.08,
    thickness: thickness ?? 1.3,
  };
  const marks: Mark[] = [frame];
  let y = box.y + 1;
  const put = (text: string, step: number, style: Omit<TextMark, "type" | "x" | "y" | "text">): void => {
    if (text === "") return;
    y += step;
    marks.push({ type: "text", x: middle, y, text, anchor: "middle", ...style });
  };
  const small = { size: 9, colour: labelColour ?? ink.faint };
  if (labelColour === undefined) put(label, 13, small);
  put(shorten(name, room, 11, { bold: true }), labelColour === undefined ? 14 : 16, { size: 11, bold: true });
  for (const line of lines) put(shorten(line, room, 9.2, { mono: true }), 13, { size: 9.2, mono: true });
  if (labelColour !== undefined) put(label, 13, small);
  return { type: "group", hint, marks };
}
