/** Owns the kernel's logo: one drawing, as SVG and as PNG of any size. */
import { deflateSync } from "node:zlib";

type Point = readonly [x: number, y: number];
type Colour = readonly [red: number, green: number, blue: number];
type Shape = { readonly fill: Colour } & (
  | { readonly polygon: readonly Point[] }
  | { readonly centre: Point; readonly radius: number }
);

/** The drawing's own square. */
const size = 64;
const [blue, white, sky, sun]: readonly [Colour, Colour, Colour, Colour] = [
  [36, 78, 138],
  [255, 255, 255],
  [190, 214, 242],
  [250, 176, 52],
];

/** An open book; over it three pods, linked to the Service that they stand behind. */
const drawing: readonly Shape[] = [
  { fill: blue, centre: [32, 32], radius: 31 },
  {
    fill: white,
    polygon: [
      [32, 54],
      [10, 48],
      [10, 30],
      [32, 36],
    ],
  },
  {
    fill: sky,
    polygon: [
      [32, 54],
      [54, 48],
      [54, 30],
      [32, 36],
    ],
  },
  ...[
    [14, 22],
    [32, 26],
    [50, 22],
  ].map(([x = 0, y = 0]) => ({ fill: white, polygon: bar([32, 11], [x, y], 1.2) })),
  { fill: sun, centre: [32, 11], radius: 5.5 },
  { fill: white, centre: [14, 22], radius: 4 },
  { fill: white, centre: [32, 26], radius: 4 },
  { fill: white, centre: [50, 22], radius: 4 },
];

/** The logo as SVG text. */
export function logoSvg(): string {
  const shapes = drawing.map((shape) => {
    const fill = `#${shape.fill.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    if ("polygon" in shape) return `  <polygon fill="${fill}" points="${shape.polygon.map(pair).join(" ")}"/>`;
    return `  <circle fill="${fill}" cx="${shape.centre[0]}" cy="${shape.centre[1]}" r="${shape.radius}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}">\n${shapes.join("\n")}\n</svg>\n`;
}

/** The logo as a PNG file, so many pixels wide and high. */
export function logoPng(pixels: number): Buffer {
  const rows: Buffer[] = [];
  for (let y = 0; y < pixels; y++) {
    const row = Buffer.alloc(1 + 4 * pixels); // a row begins with its filter: none
    for (let x = 0; x < pixels; x++) row.set(pixel(x, y, size / pixels), 1 + 4 * x);
    rows.push(row);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(pixels, 0);
  header.writeUInt32BE(pixels, 4);
  header.set([8, 6], 8); // 8 bits a channel, RGBA
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.concat(rows), { level: 9 });
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

/** One pixel's colour: the mean of 4 × 4 samples, so that edges are smooth. */
function pixel(x: number, y: number, scale: number): number[] {
  const sum = [0, 0, 0];
  let covered = 0;
  for (let i = 0; i < 16; i++) {
    const at: Point = [(x + ((i % 4) + 0.5) / 4) * scale, (y + (Math.floor(i / 4) + 0.5) / 4) * scale];
    const top = drawing.reduce<Colour | undefined>(
      (below, shape) => (inside(shape, at) ? shape.fill : below),
      undefined,
    );
    if (!top) continue;
    covered += 1;
    top.forEach((part, channel) => {
      sum[channel] = (sum[channel] ?? 0) + part;
    });
  }
  return [...sum.map((part) => Math.round(part / Math.max(1, covered))), Math.round((covered * 255) / 16)];
}

function inside(shape: Shape, [x, y]: Point): boolean {
  if ("radius" in shape) return Math.hypot(x - shape.centre[0], y - shape.centre[1]) <= shape.radius;
  let odd = false;
  shape.polygon.forEach(([x1, y1], i) => {
    const [x2, y2] = shape.polygon[(i + 1) % shape.polygon.length] ?? [0, 0];
    if (y1 > y !== y2 > y && x < x1 + ((x2 - x1) * (y - y1)) / (y2 - y1)) odd = !odd;
  });
  return odd;
}

/** A straight bar from one point to another. */
function bar([x1, y1]: Point, [x2, y2]: Point, halfWidth: number): Point[] {
  const length = Math.hypot(x2 - x1, y2 - y1);
  const [across, down] = [(-(y2 - y1) / length) * halfWidth, ((x2 - x1) / length) * halfWidth];
  return [
    [x1 + across, y1 + down],
    [x2 + across, y2 + down],
    [x2 - across, y2 - down],
    [x1 - across, y1 - down],
  ];
}

function pair([x, y]: Point): string {
  return `${Number(x.toFixed(2))},${Number(y.toFixed(2))}`;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** PNG's checksum (PNG specification, annex D). */
function crc(bytes: Buffer): number {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return (rest ^ 0xffffffff) >>> 0;
}
