/** Owns the cards of a path diagram: at each number where it is, from whom to whom, what changed, and why. */
import { type Box, ink, type Mark, shorten, type TextMark, textWidth, wrap } from "./drawing";
import type { Change, Hop, Reason } from "./hops";

/** A card that is not yet placed: its lines, and how high it will be. */
export interface Card {
  readonly hop: Hop;
  readonly lines: readonly Line[];
  readonly height: number;
}

interface Line {
  readonly text: string;
  readonly style: "head" | "address" | "change" | "reason";
  readonly colour?: string;
}

const padding = 8;
const styles = {
  head: { size: 11, bold: true, step: 17 },
  address: { size: 10.5, mono: true, step: 13 },
  change: { size: 10.5, bold: true, step: 13.5 },
  reason: { size: 9.5, bold: false, step: 12 },
} as const;

/** As wide as the longest address of the way, so that none is cut. */
export function cardWidth(hops: readonly Hop[]): number {
  const addresses = hops.flatMap(({ before, changes }) => [
    before.source,
    `→ ${before.target}`,
    ...changes.map(({ to }) => `→ ${to ?? ""}`),
  ]);
  const widest = Math.max(...addresses.map((address) => textWidth(address, styles.address.size, styles.address)));
  return Math.max(146, widest + 2 * padding);
}

export function cardOf(hop: Hop, width: number): Card {
  const room = width - 2 * padding;
  const lines: Line[] = [
    { style: "head", text: shorten(headOf(hop), room - 20, styles.head.size, styles.head) },
    { style: "address", text: hop.before.source },
    { style: "address", text: `→ ${hop.before.target}` },
    ...hop.changes.flatMap((change) => wrapped(changeTexts(change), "change", room, colourOf(change))),
    ...wrapped(hop.end ? [endText(hop)] : [], "change", room, isBad(hop) ? ink.bad : ink.text),
    ...toldReasons(hop).flatMap((reason) => wrapped([reasonText(reason)], "reason", room, ink.faint)),
  ];
  const steps = lines.map((_, index) => stepTo(lines, index));
  const height = steps.reduce((sum, step) => sum + step, 2 * padding - 2);
  return { hop, lines, height };
}

/** How far a line is below the one before; a new kind of line keeps a little distance. */
function stepTo(lines: readonly Line[], index: number): number {
  const [line, before] = [lines[index], lines[index - 1]];
  if (!line) return 0;
  return styles[line.style].step + (before && before.style !== line.style && before.style !== "head" ? 4 : 0);
}

function headOf({ where, device, kind, node }: Hop): string {
  const place = where.replace(/^.*\//, "");
  if (kind === "bridge" || kind === "tunnel") return `${node ?? place} ${device}`;
  return kind === "host" ? `${place} ${device}` : place;
}

function wrapped(texts: readonly string[], style: "change" | "reason", room: number, colour: string): readonly Line[] {
  const { size } = styles[style];
  const most = style === "reason" ? 3 : 4;
  return texts.flatMap((text) =>
    wrap(text, room, size, most, styles[style]).map((line): Line => ({ style, text: line, colour })),
  );
}

function changeTexts({ kind, field, from, to, text }: Change): readonly string[] {
  const side = field === "source" ? "source" : "destination";
  switch (kind) {
    case "dnat":
    case "snat":
      return [`${kind.toUpperCase()}: ${side}`, `→ ${to}`];
    case "proxied":
      return ["a proxy connects on", `${from}`, `→ ${to}`];
    case "untranslated":
      return [`NAT undone: ${side}`, `→ ${to}`];
    case "encapsulated":
      return [...text.split(/(?<=:) /), from ?? "", `→ ${to}`];
    case "decapsulated":
      return [text];
  }
}

export function colourOf({ kind }: Change): string {
  return kind === "encapsulated" || kind === "decapsulated" ? ink.tunnel : ink.nat;
}

export function isBad({ end }: Hop): boolean {
  return end !== undefined && end.fate !== "deliver" && end.fate !== "consume";
}

function endText(hop: Hop): string {
  const { end } = hop;
  if (!end) return "";
  if (!isBad(hop)) return `✓ ${end.why}`;
  return `✕ ${end.why.replace(/: -A .*/, "")}`;
}

const decisive: ReadonlySet<string> = new Set(["dnat", "redirect", "snat", "masquerade", "drop", "reject"]);

/** A card has room for what decided; every rule is in the table. */
function toldReasons({ reasons }: Hop): readonly Reason[] {
  return reasons.filter(
    ({ kind, rule }) => kind !== "rule" || (rule?.effect !== undefined && decisive.has(rule.effect.does)),
  );
}

function reasonText({ kind, text, rule }: Reason): string {
  if (rule) return `rule ${rule.number} of ${rule.chain}`;
  return kind === "route" ? `route ${text}` : text.replace(/^\S+: (FDB says )?/, "FDB: ").replace(/; into .*/, "");
}

/** The card's marks at its place. */
export function drawCard({ hop, lines }: Card, at: Box): readonly Mark[] {
  const marks: Mark[] = [
    {
      type: "box",
      ...at,
      radius: 6,
      stroke: isBad(hop) ? ink.bad : ink.faint,
      thickness: isBad(hop) ? 1.5 : 0.7,
      name: `card ${hop.number}`,
    },
    ...numberMark(hop, at.x + padding + 7, at.y + padding + 5, 8),
  ];
  let y = at.y + padding - 2;
  for (const [index, { style, text, colour }] of lines.entries()) {
    y += stepTo(lines, index) - (style === "head" ? 6 : 0);
    const mark: TextMark = {
      type: "text",
      x: at.x + padding + (style === "head" ? 20 : 0),
      y,
      text,
      ...styles[style],
      ...(colour !== undefined && { colour }),
    };
    marks.push(withoutStep(mark));
    if (style === "head") y += 6;
  }
  return marks;
}

function withoutStep({ type, x, y, text, size, bold, mono, colour }: TextMark): TextMark {
  return {
    type,
    x,
    y,
    text,
    size,
    ...(bold && { bold }),
    ...(mono && { mono }),
    ...(colour !== undefined && { colour }),
  };
}

/** The number of a hop in its disc. */
export function numberMark(hop: Hop, x: number, y: number, radius: number): readonly Mark[] {
  const size = radius * 1.3;
  return [
    { type: "circle", x, y, radius, fill: isBad(hop) ? ink.bad : ink.path },
    {
      type: "text",
      x,
      y: y + size * 0.36,
      text: String(hop.number),
      size,
      anchor: "middle",
      bold: true,
      colour: "#ffffff",
    },
  ];
}
