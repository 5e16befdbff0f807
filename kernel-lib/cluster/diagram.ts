/** Owns the picture of a packet's way: nodes, bridges, tunnels and pods from left to right, and the path as a numbered line. */
import { type Card, cardOf, cardWidth, drawCard } from "./diagramcards";
import { drawPath } from "./diagrampath";
import { type Box, type Drawing, ink, type Mark, shorten, textWidth } from "./drawing";
import type { Hop, HopKind } from "./hops";
import type { Trace } from "./trace";

/** A place on the way, from left to right: what the packet met there going, and what its answer met coming back. */
interface Column {
  readonly kind: HopKind;
  readonly where: string;
  readonly node: string | undefined;
  readonly out: Hop | undefined;
  readonly back: Hop | undefined;
  readonly x: number;
}

type Unplaced = Omit<Column, "x">;

const margin = 12;
const gap = { inside: 16, frames: 92 };
const framePadding = 12;
const heights = { head: 50, service: 46, label: 26, chip: 106, cards: 16 };
/** Where the two lines run, below a chip's top. */
const track = { out: 60, back: 85 };

/** The drawing of a trace, titled with `caption` and `subtitle`, told in words by `description`. */
export function drawTrace(
  trace: Trace,
  words: { readonly caption: string; readonly subtitle: string; readonly description: string },
): Drawing {
  const width = cardWidth(trace.hops);
  const columns = place(columnsOf(trace.hops), width);
  const top = heights.head + (trace.service ? heights.service : 0);
  const chipTop = top + heights.label;
  const cards = {
    out: columns.map(({ out }) => out && cardOf(out, width)),
    back: columns.map(({ back }) => back && cardOf(back, width)),
  };
  const cardTop = chipTop + heights.chip + framePadding + heights.cards;
  const outHeight = tallest(cards.out);
  const backHeight = tallest(cards.back);
  const backTop = cardTop + outHeight + (backHeight > 0 ? 12 : 0);
  const right = Math.max(...columns.map(({ x }) => x + width), 300);
  const total = right + framePadding + margin;
  return {
    width: Math.max(total, textWidth(words.subtitle, 12) + 2 * margin),
    height: backTop + backHeight + margin,
    title: words.caption,
    description: words.description,
    marks: [
      { type: "text", x: margin, y: 21, text: words.caption, size: 15, bold: true },
      { type: "text", x: margin, y: 40, text: words.subtitle, size: 12 },
      ...(trace.service ? drawService(trace, columns, width) : []),
      ...framesOf(columns).map((frame) => drawFrame(frame, width, top)),
      ...drawTubes(columns, width, chipTop),
      ...framesOf(columns).flatMap((frame) => drawEdges(frame, columns, width, chipTop)),
      ...columns.map((column) => drawChip(column, { x: column.x, y: chipTop, width, height: heights.chip })),
      ...drawPath(columns, "back", width, chipTop + track.back),
      ...drawPath(columns, "out", width, chipTop + track.out),
      ...drawRow(cards.out, columns, { y: cardTop, width, height: outHeight }),
      { type: "group", opacity: 0.72, marks: drawRow(cards.back, columns, { y: backTop, width, height: backHeight }) },
    ],
  };
}

/** The places in order: those of the way out, and those that only the answer passed where it passed them. */
function columnsOf(hops: readonly Hop[]): readonly Unplaced[] {
  const out = hops.filter(({ way }) => way === "out");
  const back = hops.filter(({ way }) => way === "back").reverse();
  const columns: Unplaced[] = [];
  const add = (going: Hop | undefined, coming: Hop | undefined): void => {
    const any = going ?? coming;
    if (any) columns.push({ kind: any.kind, where: any.where, node: any.node, out: going, back: coming });
  };
  const common = longestCommon(out, back);
  let [i, j] = [0, 0];
  for (const [oneAt, otherAt] of [...common, [out.length, back.length] as const]) {
    while (i < oneAt) add(out[i++], undefined);
    while (j < otherAt) add(undefined, back[j++]);
    add(out[i++], back[j++]);
  }
  return columns;
}

/** Pairs of positions at the same place, in order, as many as there can be (the longest common subsequence). */
function longestCommon(one: readonly Hop[], other: readonly Hop[]): readonly (readonly [number, number])[] {
  const same = (i: number, j: number): boolean => one[i]?.where === other[j]?.where && one[i]?.kind === other[j]?.kind;
  const lengths = Array.from({ length: one.length + 1 }, () => new Array<number>(other.length + 1).fill(0));
  const at = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      const row = lengths[i];
      if (row) row[j] = same(i, j) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    if (same(i, j)) pairs.push([i++, j++]);
    else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}

/** A frame of a node needs room around it; between frames is the network. */
function place(columns: readonly Unplaced[], width: number): readonly Column[] {
  let x = margin + framePadding;
  return columns.map((column, at) => {
    const before = columns[at - 1];
    if (before) x += width + (before.node !== undefined && before.node === column.node ? gap.inside : gap.frames);
    return { ...column, x };
  });
}

interface Frame {
  readonly node: string;
  readonly first: Column;
  readonly last: Column;
}

function framesOf(columns: readonly Column[]): readonly Frame[] {
  const frames: Frame[] = [];
  for (const [at, column] of columns.entries()) {
    const { node } = column;
    if (node === undefined) continue;
    const open = columns[at - 1]?.node === node ? frames.pop() : undefined;
    frames.push({ node, first: open?.first ?? column, last: column });
  }
  return frames;
}

function drawFrame({ node, first, last }: Frame, width: number, top: number): Mark {
  const x = first.x - framePadding;
  const box = {
    x,
    y: top,
    width: last.x + width + framePadding - x,
    height: heights.label + heights.chip + framePadding,
  };
  return {
    type: "group",
    name: `node ${node}`,
    marks: [
      { type: "box", ...box, radius: 10, stroke: ink.text, thickness: 1.2, fill: ink.text, fillOpacity: 0.05 },
      { type: "text", x: x + framePadding, y: top + 17, text: "node", size: 9.5, colour: ink.faint },
      { type: "text", x: x + framePadding + 25, y: top + 17, text: node, size: 11.5, bold: true },
    ],
  };
}

/** The devices by which a node meets the network, beside its frame where the line crosses it. */
function drawEdges(
  { first, last }: Frame,
  columns: readonly Column[],
  width: number,
  chipTop: number,
): readonly Mark[] {
  const y = chipTop + (track.out + track.back) / 2 + 3;
  const before = columns.indexOf(first) > 0 ? (first.out?.input ?? first.back?.output) : undefined;
  const after = columns.indexOf(last) < columns.length - 1 ? (last.out?.output ?? last.back?.input) : undefined;
  const label = { type: "text", y, size: 9, mono: true, colour: ink.faint } as const;
  return [
    ...(before === undefined
      ? []
      : [{ ...label, x: first.x - framePadding - 5, text: before, anchor: "end" } as const]),
    ...(after === undefined ? [] : [{ ...label, x: last.x + width + framePadding + 5, text: after }]),
  ];
}

/** A Service is no place: dashed, above the hop that turned its address into another. */
function drawService({ service, hops }: Trace, columns: readonly Column[], width: number): readonly Mark[] {
  if (!service) return [];
  const turned = hops.find(({ way, changes }) => way === "out" && changes.some(({ kind }) => kind === "dnat"));
  const column = columns.find(({ out }) => out !== undefined && out === turned) ?? columns[1] ?? columns[0];
  if (!column) return [];
  const text = `${service.name} · ${service.address}`;
  const wide = textWidth(text, 11, { bold: true }) + 24;
  const middle = column.x + width / 2;
  const right = Math.max(...columns.map((other) => other.x)) + width + framePadding;
  const x = Math.max(margin, Math.min(middle - wide / 2, right - wide));
  const y = heights.head + 2;
  const below = heights.head + heights.service + heights.label;
  return [
    {
      type: "line",
      points: [
        [middle, y + 24],
        [middle, below],
      ],
      stroke: ink.service,
      thickness: 1,
      dashed: true,
    },
    { type: "box", x, y, width: wide, height: 24, radius: 12, stroke: ink.service, dashed: true, name: "service" },
    { type: "text", x: x + wide / 2, y: y + 16, text, size: 11, bold: true, anchor: "middle", colour: ink.service },
  ];
}

/** The tunnel as a tube between its two ends. */
function drawTubes(columns: readonly Column[], width: number, chipTop: number): readonly Mark[] {
  const marks: Mark[] = [];
  let open: Column | undefined;
  for (const column of columns) {
    if (column.kind !== "tunnel") continue;
    if (!open) {
      open = column;
      continue;
    }
    const x = open.x + width;
    const y = chipTop + track.out - 12;
    const box = { x, y, width: column.x - x, height: track.back - track.out + 24 };
    marks.push({
      type: "box",
      ...box,
      fill: ink.tunnel,
      fillOpacity: 0.16,
      stroke: ink.tunnel,
      thickness: 0.8,
      name: "tunnel",
    });
    open = undefined;
  }
  return marks;
}

const looks: { readonly [K in HopKind]: { readonly label: string; readonly colour: string; readonly radius: number } } =
  {
    pod: { label: "pod", colour: ink.path, radius: 10 },
    bridge: { label: "bridge", colour: ink.text, radius: 2 },
    tunnel: { label: "tunnel", colour: ink.tunnel, radius: 12 },
    host: { label: "the node's own network", colour: ink.text, radius: 2 },
    router: { label: "router", colour: ink.text, radius: 24 },
    workstation: { label: "workstation", colour: ink.text, radius: 4 },
  };

function drawChip({ kind, where, out, back }: Column, box: Box): Mark {
  const machine = kind === "router" || kind === "workstation";
  const { colour, radius } = looks[kind];
  const label = machine ? where : looks[kind].label;
  const hop = out ?? back;
  const short = where.replace(/^.*\//, "");
  const name = kind === "pod" ? short : machine ? addressAt(out, back) : (hop?.device ?? "");
  const middle = box.x + box.width / 2;
  const room = box.width - 14;
  const below = kind === "pod" ? addressAt(out, back) : "";
  return {
    type: "group",
    name: `${kind} ${short}`,
    hint: `${label} ${where}${kind === "pod" ? "" : `, ${hop?.device ?? ""}`}`,
    marks: [
      {
        type: "box",
        ...box,
        radius,
        stroke: colour,
        fill: colour,
        fillOpacity: 0.08,
        thickness: kind === "bridge" ? 2 : 1.4,
      },
      { type: "text", x: middle, y: box.y + 15, text: label, size: 9.5, anchor: "middle", colour: ink.faint },
      {
        type: "text",
        x: middle,
        y: box.y + 28,
        text: shorten(name, room, 11.5, { bold: true }),
        size: 11.5,
        bold: true,
        anchor: "middle",
      },
      ...(below === ""
        ? []
        : [{ type: "text", x: middle, y: box.y + 41, text: below, size: 10, mono: true, anchor: "middle" } as const]),
    ],
  };
}

/** A place's own address: what it sends from, or what is sent to it. */
function addressAt(out: Hop | undefined, back: Hop | undefined): string {
  const own =
    out && out.input === undefined
      ? out.before.source
      : out?.end
        ? out.after.target
        : back && back.input === undefined
          ? back.before.source
          : back?.end
            ? back.after.target
            : ((out ?? back)?.device ?? "");
  return own.replace(/^\[(.*)\]:\d+$/, "$1").replace(/^([\d.]+):\d+$/, "$1");
}

function drawRow(
  cards: readonly (Card | undefined)[],
  columns: readonly Column[],
  row: { readonly y: number; readonly width: number; readonly height: number },
): readonly Mark[] {
  return cards.flatMap((card, at): readonly Mark[] => {
    const x = columns[at]?.x;
    return card && x !== undefined
      ? [{ type: "group", name: `hop ${card.hop.number}`, marks: drawCard(card, { x, ...row }) }]
      : [];
  });
}

function tallest(cards: readonly (Card | undefined)[]): number {
  return Math.max(0, ...cards.map((card) => card?.height ?? 0));
}
