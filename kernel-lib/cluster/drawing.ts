/** Owns drawings as plain data: marks with known boxes, told as SVG that stays text, on any background. */

/** A rectangle; y grows downwards. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface TextMark {
  readonly type: "text";
  /** Where it begins (or its middle or end, by `anchor`), and its base line. */
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly size: number;
  readonly anchor?: "middle" | "end";
  readonly bold?: boolean;
  readonly mono?: boolean;
  readonly colour?: string;
}

export interface BoxMark extends Box {
  readonly type: "box";
  readonly stroke?: string;
  readonly fill?: string;
  /** How much of the fill is seen, 0..1. */
  readonly fillOpacity?: number;
  readonly radius?: number;
  readonly dashed?: boolean;
  readonly thickness?: number;
  /** Who this box is, for whoever points at it. */
  readonly hint?: string;
  readonly name?: string;
}

export interface LineMark {
  readonly type: "line";
  readonly points: readonly (readonly [number, number])[];
  readonly stroke: string;
  readonly thickness?: number;
  readonly dashed?: boolean;
}

export interface CircleMark {
  readonly type: "circle";
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly fill: string;
}

/** Marks that belong together; a lighter one is the answer's. */
export interface GroupMark {
  readonly type: "group";
  readonly marks: readonly Mark[];
  readonly opacity?: number;
  readonly name?: string;
  readonly hint?: string;
}

export type Mark = TextMark | BoxMark | LineMark | CircleMark | GroupMark;

export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  /** The same story in words. */
  readonly description: string;
  readonly marks: readonly Mark[];
}

/** Each readable on white and on black; blue, orange, green and red of colour-blind readers' palettes. */
export const ink = {
  text: "#808080",
  faint: "#909090",
  path: "#1f83c6",
  nat: "#d55e00",
  tunnel: "#0a9a72",
  bad: "#d63c3c",
  service: "#b0609a",
} as const;

/** How wide a text is at most, in the fonts that the SVG names (Helvetica's and Courier's metrics, rounded up). */
export function textWidth(
  text: string,
  size: number,
  style: { readonly bold?: boolean; readonly mono?: boolean } = {},
): number {
  let ems = 0;
  for (const letter of text) ems += style.mono ? 0.61 : widthOfLetter(letter);
  return Math.ceil(ems * size * (style.bold && !style.mono ? 1.07 : 1));
}

function widthOfLetter(letter: string): number {
  if ("iljI.,:;'|! ".includes(letter)) return 0.29;
  if ("frt()/-[]".includes(letter)) return 0.36;
  if ("mwMW→…·✓✕".includes(letter)) return 0.95;
  return letter >= "A" && letter <= "Z" ? 0.72 : 0.57;
}

/** The text's box, for whoever asks whether two of them meet. */
export function boxOfText(mark: TextMark): Box {
  const width = textWidth(mark.text, mark.size, mark);
  const x = mark.anchor === "middle" ? mark.x - width / 2 : mark.anchor === "end" ? mark.x - width : mark.x;
  return { x, y: mark.y - mark.size * 0.78, width, height: mark.size };
}

/** The text cut into lines of at most `width`, at blanks where that is possible; what is beyond `most` lines is dropped. */
export function wrap(
  text: string,
  width: number,
  size: number,
  most = 9,
  style: { readonly mono?: boolean; readonly bold?: boolean } = {},
): string[] {
  const lines: string[] = [];
  const fits = (line: string): boolean => textWidth(line, size, style) <= width;
  for (let rest = text; rest !== ""; ) {
    if (fits(rest)) {
      lines.push(rest);
      break;
    }
    let end = 1;
    while (end < rest.length && fits(rest.slice(0, end + 1))) end++;
    const blank = rest.lastIndexOf(" ", end);
    const cut = blank > 0 ? blank : end;
    lines.push(rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  if (lines.length <= most) return lines;
  const last = lines[most - 1] ?? "";
  return [...lines.slice(0, most - 1), `${last.slice(0, Math.max(1, last.length - 1))}…`];
}

/** A name that fits: its middle is left out, for both ends tell pods apart. */
export function shorten(
  name: string,
  width: number,
  size: number,
  style: { readonly bold?: boolean; readonly mono?: boolean } = {},
): string {
  if (textWidth(name, size, style) <= width) return name;
  const tail = name.slice(-5);
  for (let length = name.length - 6; length > 0; length--) {
    const short = `${name.slice(0, length)}…${tail}`;
    if (textWidth(short, size, style) <= width) return short;
  }
  return `…${tail}`;
}

const fonts = {
  sans: "Helvetica, Arial, 'Liberation Sans', sans-serif",
  mono: "ui-monospace, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace",
};

/** The drawing as SVG: transparent, as wide as its place lets it, no wider than it was drawn. */
export function svgOfDrawing({ width, height, title, description, marks }: Drawing): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${figure(width)} ${figure(height)}" width="${figure(width)}" height="${figure(height)}" style="max-width:100%;height:auto" font-family="${fonts.sans}">`;
  return `${head}<title>${escapeXml(title)}</title><desc>${escapeXml(description)}</desc>${marks.map(svgOfMark).join("")}</svg>`;
}

/**
 * The picture inside HTML, where a table stands beside it. As an image: a front end that does not trust the page yet then
 * leaves out the picture, not only its lines; and JupyterLab itself shows SVG so.
 */
export function imageOf(svg: string, alternative: string): string {
  const data = svg.replace(/[^ !$'()*+,./0-9:;=?@A-Z[\]^_a-z{|}~-]/gu, encodeURIComponent).replaceAll("'", "%27");
  return `<img alt="${escapeXml(alternative)}" style="max-width:100%" src="data:image/svg+xml,${data}">`;
}

function svgOfMark(mark: Mark): string {
  switch (mark.type) {
    case "text":
      return svgOfText(mark);
    case "box":
      return svgOfBox(mark);
    case "line": {
      const points = mark.points.map(([x, y]) => `${figure(x)},${figure(y)}`).join(" ");
      const dashes = mark.dashed ? ' stroke-dasharray="5 4"' : "";
      return `<polyline points="${points}" fill="none" stroke="${mark.stroke}" stroke-width="${mark.thickness ?? 1.5}" stroke-linejoin="round"${dashes}/>`;
    }
    case "circle":
      return `<circle cx="${figure(mark.x)}" cy="${figure(mark.y)}" r="${mark.radius}" fill="${mark.fill}"/>`;
    case "group": {
      const opacity = mark.opacity === undefined ? "" : ` opacity="${mark.opacity}"`;
      const name = mark.name === undefined ? "" : ` data-name="${escapeXml(mark.name)}"`;
      return `<g${name}${opacity}>${hintOf(mark.hint)}${mark.marks.map(svgOfMark).join("")}</g>`;
    }
  }
}

function svgOfText({ x, y, text, size, anchor, bold, mono, colour }: TextMark): string {
  const style = [
    anchor ? ` text-anchor="${anchor}"` : "",
    bold ? ' font-weight="bold"' : "",
    mono ? ` font-family="${fonts.mono}"` : "",
  ].join("");
  return `<text x="${figure(x)}" y="${figure(y)}" font-size="${size}" fill="${colour ?? ink.text}"${style}>${escapeXml(text)}</text>`;
}

function svgOfBox({
  x,
  y,
  width,
  height,
  stroke,
  fill,
  fillOpacity,
  radius,
  dashed,
  thickness,
  hint,
  name,
}: BoxMark): string {
  const attributes = [
    name === undefined ? "" : ` data-name="${escapeXml(name)}"`,
    ` x="${figure(x)}" y="${figure(y)}" width="${figure(width)}" height="${figure(height)}"`,
    radius === undefined ? "" : ` rx="${radius}"`,
    ` fill="${fill ?? "none"}"`,
    fillOpacity === undefined ? "" : ` fill-opacity="${fillOpacity}"`,
    stroke === undefined ? "" : ` stroke="${stroke}" stroke-width="${thickness ?? 1.2}"`,
    dashed ? ' stroke-dasharray="5 4"' : "",
  ].join("");
  return hint === undefined ? `<rect${attributes}/>` : `<rect${attributes}>${hintOf(hint)}</rect>`;
}

function hintOf(hint: string | undefined): string {
  return hint === undefined ? "" : `<title>${escapeXml(hint)}</title>`;
}

/** Whole numbers and halves as they are; no long fractions. */
function figure(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** All texts of a drawing, however deep in groups. */
export function textsOf(marks: readonly Mark[]): readonly TextMark[] {
  return marks.flatMap((mark) => (mark.type === "text" ? [mark] : mark.type === "group" ? textsOf(mark.marks) : []));
}

/** `1 pod`, `2 pods`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
