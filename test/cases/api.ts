/** Owns judging the API's parts: service_validation.json and allocation.json. */
import type { Kinds } from "../../kernel-lib/api/kinds";
import { createApi } from "../../kernel-lib/api/rest";
import { Allocator, staticBand } from "../../kernel-lib/api/service/allocator";
import { addressRange, broadcastAddress, hostsPerNetwork, indexesFrom } from "../../kernel-lib/api/service/range";
import { Store } from "../../kernel-lib/api/store";
import { formatIp, parseCidr, parseIp } from "../../kernel-lib/api/validation/ip";
import { validateExternalTraffic, validateService } from "../../kernel-lib/api/validation/service";
import { Random } from "../../kernel-lib/sim/random";
import { createSim } from "../../kernel-lib/sim/sim";
import { type Json, type Judge, type Judged, judged, judgeEach, same, unknownKeys } from "./judge";

/** A Service each: how many errors it has. */
export const judgeValidation: Judge = (content) =>
  judgeEach(content, "cases", (one) => {
    const service = one.service as Kinds["Service"];
    const from = (one.source as { readonly function?: string } | undefined)?.function ?? "ValidateServiceCreate";
    const unknown = unknownKeys(one, ["name", "source", "service", "expectErrors", "notes", "derived"], "the field");
    if (from !== "ValidateServiceCreate" && from !== "validateServiceExternalTrafficPolicy") {
      return [`the function ${from} is not known`];
    }
    const errors = from === "ValidateServiceCreate" ? validateService(service) : validateExternalTraffic(service.spec);
    if (errors.length === one.expectErrors) return unknown;
    const told = errors.map((error) => JSON.stringify(error)).join("; ");
    return [...unknown, `expected ${one.expectErrors} errors, got ${errors.length}${told && `: ${told}`}`];
  });

/** A row each. */
export const judgeAllocation: Judge = (content) => {
  const known = ["format", "serviceIPAllocator", "staticBand", "portAllocator", "nodePortRangeDefault"];
  const strange = unknownKeys(content, known, "the part");
  const parts = (content.serviceIPAllocator ?? []) as readonly {
    readonly source: Json;
    readonly rows: readonly Json[];
  }[];
  const { rows: bands = [], example } = (content.staticBand ?? {}) as { rows?: readonly Json[]; example?: Json };
  const { rows: ports = [] } = (content.portAllocator ?? {}) as { rows?: readonly Json[] };
  const { nodePortRangeDefault } = content;
  return [
    ...strange.map((what): Judged => ({ name: "allocation", differences: [what] })),
    ...parts.flatMap(({ source, rows }) =>
      rows.map((row) => {
        const old = String(source?.path).includes("bitmap");
        return judged(nameOf(row, String(source?.test)), () => judgeRange(row, old));
      }),
    ),
    ...bands.map((row) => judged(`staticBand ${row.cidr}`, () => same("offset", row.offset, bandOf(String(row.cidr))))),
    ...(example ? [judged(`staticBand ${example.cidr}`, () => judgeExample(example))] : []),
    ...ports.map((row) => judged(`ports ${row.range}`, () => judgePorts(row))),
    ...(nodePortRangeDefault ? [judged("nodePortRangeDefault", () => judgeDefault(nodePortRangeDefault as Json))] : []),
  ];
};

function nameOf(row: Json, test: string): string {
  const what = row.name ?? row.cidr ?? row.subnet ?? `${row.first} to ${row.last} from ${row.offset}`;
  return `${test}: ${what}`;
}

function judgeRange(row: Json, old: boolean): readonly string[] {
  if (row.hosts !== undefined) return same("hosts", row.hosts, String(hostsPerNetwork(String(row.cidr))));
  if (row.broadcast !== undefined) return same("broadcast", row.broadcast, broadcastAddress(String(row.subnet)));
  if (row.order !== undefined) return same("order", row.order, orderOf(row));
  const keys = ["name", "cidr", "free", "canBeAllocated", "outOfRange"];
  return [...unknownKeys(row, keys, "the expectation"), ...judgeFree(row, old)];
}

/** The older bitmap kept at most 2^16 addresses of an IPv6 range. */
function usableOf(cidr: string, old: boolean): number {
  const { usable, family } = addressRange(cidr);
  return old && family === "IPv6" ? Math.min(usable, 65_535) : usable;
}

function bandOf(cidr: string): number {
  const size = parseCidr(cidr)?.size;
  if (size === undefined) throw new Error(`${cidr} is no range`);
  return staticBand(Number(size), 16, 16, 256);
}

/** More than so many are not handed out one by one. */
const exhaustible = 10_000;

function judgeFree(row: Json, old: boolean): readonly string[] {
  const cidr = String(row.cidr);
  const range = addressRange(cidr);
  const ips = new Allocator(usableOf(cidr, old), bandOf(cidr), new Random(1));
  const indexOf = (ip: string): number => range.indexOf(ip) ?? -1;
  const wrong = row.free === undefined ? [] : [...same("free", row.free, ips.free)];
  for (const ip of (row.outOfRange ?? []) as readonly string[]) {
    if (ips.take(indexOf(ip))) wrong.push(`${ip}: expected to be out of range, got it`);
  }
  for (const ip of (row.canBeAllocated ?? []) as readonly string[]) {
    if (!ips.take(indexOf(ip))) wrong.push(`${ip}: expected to get it, got a refusal`);
    if (ips.take(indexOf(ip))) wrong.push(`${ip}: expected to be in use, got it twice`);
  }
  if (row.free === undefined || ips.size > exhaustible) return wrong;
  return [...wrong, ...judgeExhausted(ips)];
}

/** When all are in use and one is released, the next one is that. */
function judgeExhausted(ips: Allocator): readonly string[] {
  const wrong: string[] = [];
  for (let left = ips.free; left > 0; left--) {
    const next = ips.next();
    if (next === undefined || !ips.take(next)) return [`expected ${left} more, got none`];
  }
  if (ips.next() !== undefined) wrong.push("expected the range to be used up, got another one");
  if (ips.size === 0) return wrong;
  const released = Math.floor(ips.size / 2);
  ips.release(released);
  return [...wrong, ...same("the next after one is released", released, ips.next())];
}

function orderOf({ first, last, offset }: Json): readonly string[] {
  const [low, high] = [parseIp(String(first)), parseIp(String(last))];
  if (!low || !high) throw new Error(`${first} to ${last} is no range`);
  const indexes = [...indexesFrom(0, Number(high.value - low.value) + 1, Number(offset))];
  return indexes.map((index) => formatIp(low.family, low.value + BigInt(index)));
}

/** Automatic allocations: the upper band first, then the lower one. */
function judgeExample(example: Json): readonly string[] {
  const range = addressRange(String(example.cidr));
  const band = bandOf(String(example.cidr));
  const ips = new Allocator(range.usable, band, new Random(1));
  const order = Array.from({ length: range.usable }, () => {
    const next = ips.next() as number;
    ips.take(next);
    return next;
  });
  const ends = (list: readonly number[]): readonly string[] => {
    return [Math.min(...list), Math.max(...list)].map((index) => range.addressOf(index));
  };
  return [
    ...same("usable", example.usable, range.usable),
    ...same("offset", example.offset, band),
    ...same("firstAutomaticBand", example.firstAutomaticBand, ends(order.slice(0, range.usable - band))),
    ...same("lowerBand", example.lowerBand, ends(order.slice(range.usable - band))),
  ];
}

function judgePorts(row: Json): readonly string[] {
  const [from = 0, to = -1] = String(row.range).split("-").map(Number);
  const ports = new Allocator(to - from + 1, 0, new Random(1));
  const wrong = [
    ...unknownKeys(row, ["name", "range", "free", "outOfRange", "canBeAllocated"], "the expectation"),
    ...same("free", row.free, ports.free),
  ];
  for (const port of (row.outOfRange ?? []) as readonly number[]) {
    if (ports.take(port - from)) wrong.push(`${port}: expected to be out of range, got it`);
  }
  for (const port of [from, to, ...((row.canBeAllocated ?? []) as readonly number[])]) {
    if (!ports.take(port - from)) wrong.push(`${port}: expected to get it, got a refusal`);
    if (ports.take(port - from)) wrong.push(`${port}: expected to be in use, got it twice`);
    ports.release(port - from);
  }
  return [...wrong, ...judgeExhausted(ports)];
}

/** The first and the last port are to be had, and those beside them are not. */
function judgeDefault({ from, to, size }: Json): readonly string[] {
  const [low, high] = [Number(from), Number(to)];
  const wrong = size === undefined ? [] : [...same("size", size, high - low + 1)];
  for (const [port, wanted] of [
    [low - 1, false],
    [low, true],
    [high, true],
    [high + 1, false],
  ] as const) {
    const sim = createSim(1);
    const api = createApi(sim, new Store(sim));
    api.create("Namespace", { metadata: { name: "default" } });
    const spec = { type: "NodePort", ports: [{ port: 80, nodePort: port }] };
    let got = true;
    try {
      api.create("Service", { metadata: { name: "web" }, spec });
    } catch {
      got = false;
    }
    wrong.push(...same(`port ${port} can be had`, wanted, got));
  }
  return wrong;
}
