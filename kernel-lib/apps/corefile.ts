/** Owns reading a Corefile: server blocks, their zones and ports, and the plugins of each (coredns corefile/, Caddyfile). */

import { second } from "../sim/clock";
import { readDuration } from "../sim/duration";

/** One line of a plugin, or of its block. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly block: readonly Directive[];
  readonly line: number;
}

export interface ServerBlock {
  /** Each with its last dot. */
  readonly zones: readonly string[];
  readonly port: number;
  readonly directives: readonly Directive[];
}

/** What is wrong, in the server's words: `/etc/coredns/Corefile:3 - Error during parsing: …`. */
export class CorefileError extends Error {}

interface Token {
  readonly text: string;
  readonly line: number;
  readonly quoted: boolean;
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    const words = line.matchAll(/"((?:\\.|[^"\\])*)"|#.*|\S+/g);
    for (const match of words) {
      if (match[0].startsWith("#")) break;
      const quoted = match[1] !== undefined;
      tokens.push({ text: quoted ? (match[1] as string).replace(/\\"/g, '"') : match[0], line: at + 1, quoted });
    }
  }
  return tokens;
}

/** @throws CorefileError */
export function parseCorefile(path: string, text: string): readonly ServerBlock[] {
  const tokens = tokensOf(text);
  const fail = (line: number, why: string): CorefileError =>
    new CorefileError(`${path}:${line} - Error during parsing: ${why}`);
  let at = 0;
  const is = (text: string): boolean => tokens[at]?.text === text && !tokens[at]?.quoted;

  function directive(): Directive {
    const first = tokens[at++] as Token;
    const args: string[] = [];
    while (tokens[at]?.line === first.line && !is("{") && !is("}")) args.push((tokens[at++] as Token).text);
    const block: Directive[] = [];
    if (is("{") && tokens[at]?.line === first.line) {
      at++;
      while (!is("}")) {
        if (at >= tokens.length) throw fail(tokens.at(-1)?.line ?? 1, "Unexpected EOF");
        block.push(directive());
      }
      at++;
    }
    return { name: first.text, args, block, line: first.line };
  }

  const blocks: ServerBlock[] = [];
  while (at < tokens.length) {
    const keys: string[] = [];
    const line = tokens[at]?.line ?? 1;
    while (at < tokens.length && !is("{")) {
      if (is("}")) throw fail(tokens[at]?.line ?? 1, "Unexpected '}' because no matching opening brace");
      keys.push((tokens[at++] as Token).text.replace(/,$/, ""));
    }
    if (at >= tokens.length) throw fail(line, "Unexpected EOF");
    at++;
    const directives: Directive[] = [];
    while (!is("}")) {
      if (at >= tokens.length) throw fail(tokens.at(-1)?.line ?? 1, "Unexpected EOF");
      directives.push(directive());
    }
    at++;
    blocks.push(...blocksOf(keys.length > 0 ? keys : ["."], directives));
  }
  return blocks;
}

/** `.:53`, `cluster.local`, `dns://example.org:1053`: zones that share a port share a block. */
function blocksOf(keys: readonly string[], directives: readonly Directive[]): readonly ServerBlock[] {
  const byPort = new Map<number, string[]>();
  for (const key of keys) {
    const [, name = "", port] = /^(?:dns:\/\/)?(.*?)(?::(\d+))?$/.exec(key) ?? [];
    const zone = zoneName(name === "" ? "." : name);
    byPort.set(Number(port ?? 53), [...(byPort.get(Number(port ?? 53)) ?? []), zone]);
  }
  return [...byPort].map(([port, zones]) => ({ zones, port, directives }));
}

/** `Example.org` → `example.org.`; `10.0.0.0/24` → `0.0.10.in-addr.arpa.` */
export function zoneName(text: string): string {
  const cidr = /^(\d+)\.(\d+)\.(\d+)\.\d+\/(8|16|24)$/.exec(text);
  if (cidr) {
    const octets = [cidr[1], cidr[2], cidr[3]].slice(0, Number(cidr[4]) / 8);
    return `${octets.reverse().join(".")}.in-addr.arpa.`;
  }
  return text.endsWith(".") ? text.toLowerCase() : `${text.toLowerCase()}.`;
}

/** `30`, `5s`, `1m30s`: seconds, as Go's durations are written. */
export function durationOf(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const span = readDuration(text);
  return typeof span === "string" || span < 0 ? undefined : span / second;
}
