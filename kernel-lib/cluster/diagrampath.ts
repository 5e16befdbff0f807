/** Owns the line of a packet's way: through its numbers, with arrows, NAT marked where it happens, and a cross where it is lost. */
import { isBad, numberMark } from "./diagramcards";
import { ink, type Mark, textWidth } from "./drawing";
import type { Change, Hop } from "./hops";

/** Where a packet, and its answer, met a place. */
interface Met {
  readonly x: number;
  readonly out: Hop | undefined;
  readonly back: Hop | undefined;
}

/** One way as a line through its numbers, with an arrow between every two. */
export function drawPath(columns: readonly Met[], way: "out" | "back", width: number, y: number): readonly Mark[] {
  const met = columns.flatMap((column) => hopAt(column, way, width));
  const path = way === "out" ? met : met.reverse();
  const lines = path.slice(1).flatMap(({ x }, at): readonly Mark[] => {
    const from = path[at]?.x ?? x;
    const forward = x > from ? 1 : -1;
    const tip = (from + x) / 2 + 4 * forward;
    const colour = ink.path;
    return [
      {
        type: "line",
        points: [
          [from, y],
          [x, y],
        ],
        stroke: colour,
        thickness: 2.5,
      },
      {
        type: "line",
        points: [
          [tip - 6 * forward, y - 5],
          [tip, y],
          [tip - 6 * forward, y + 5],
        ],
        stroke: colour,
        thickness: 2,
      },
    ];
  });
  const last = path.at(-1);
  const stub =
    last && isBad(last.hop) && last.hop.end?.fate === "lost" && last.hop.output !== undefined
      ? drawLost(last.x, y, width, way)
      : [];
  const marks = [
    ...lines,
    ...stub,
    ...path.flatMap(({ hop, x }) => [...numberMark(hop, x, y, 10), ...drawBadges(hop, x, y)]),
  ];
  return way === "out" ? marks : [{ type: "group", opacity: 0.55, name: "answer", marks }];
}

function hopAt(column: Met, way: "out" | "back", width: number): readonly { readonly hop: Hop; readonly x: number }[] {
  const hop = column[way];
  return hop ? [{ hop, x: column.x + width / 2 }] : [];
}

/** A packet that left and came nowhere: its line fades into a cross. */
function drawLost(x: number, y: number, width: number, way: "out" | "back"): readonly Mark[] {
  const side = way === "out" ? 1 : -1;
  const end = x + side * (width / 2 + 26);
  const cross = [
    [
      [end - 5, y - 5],
      [end + 5, y + 5],
    ],
    [
      [end - 5, y + 5],
      [end + 5, y - 5],
    ],
  ] as const;
  return [
    {
      type: "line",
      points: [
        [x, y],
        [end - side * 6, y],
      ],
      stroke: ink.bad,
      thickness: 2,
      dashed: true,
    },
    ...cross.map((points): Mark => ({ type: "line", points, stroke: ink.bad, thickness: 2.5 })),
  ];
}

function isTranslation({ kind, field }: Change): boolean {
  return field !== undefined || kind === "proxied";
}

/** NAT is marked where it happens, and so is a proxy: on both sides of the number, if both addresses changed. */
function drawBadges(hop: Hop, x: number, y: number): readonly Mark[] {
  const kinds = new Set(hop.changes.filter(isTranslation).map(({ kind }) => kind));
  return [...kinds].flatMap((kind, at): readonly Mark[] => {
    const word = kind === "untranslated" ? "NAT back" : kind === "proxied" ? "PROXY" : kind.toUpperCase();
    const wide = textWidth(word, 8.5, { bold: true }) + 8;
    const left = at % 2 === 0 ? x + 13 : x - 13 - wide;
    return [
      { type: "box", x: left, y: y - 7, width: wide, height: 14, radius: 7, fill: ink.nat, name: `nat ${hop.number}` },
      {
        type: "text",
        x: left + wide / 2,
        y: y + 3,
        text: word,
        size: 8.5,
        bold: true,
        anchor: "middle",
        colour: "#ffffff",
      },
    ];
  });
}
