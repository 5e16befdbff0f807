/** Owns the arithmetic of tcpdump's filters: `tcp[tcpflags] & (tcp-syn|tcp-ack) != 0`, `len > 100`. */
import { type Filter, fieldOf, type Value } from "./layers";

const fields = new Set(["ether", "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp"]);

/** Names that stand for numbers (pcap-filter(7)). */
const constants: Readonly<Record<string, number>> = {
  tcpflags: 13,
  "tcp-fin": 1,
  "tcp-syn": 2,
  "tcp-rst": 4,
  "tcp-push": 8,
  "tcp-ack": 16,
  "tcp-urg": 32,
  icmptype: 0,
  icmpcode: 1,
  "icmp-echoreply": 0,
  "icmp-unreach": 3,
  "icmp-echo": 8,
  "icmp-timxceed": 11,
  icmp6type: 0,
  icmp6code: 1,
  "icmp6-echo": 128,
  "icmp6-echoreply": 129,
  "icmp6-neighborsolicit": 135,
  "icmp6-neighboradvert": 136,
};

const comparisons: Readonly<Record<string, (one: number, other: number) => boolean>> = {
  "=": (one, other) => one === other,
  "==": (one, other) => one === other,
  "!=": (one, other) => one !== other,
  "<": (one, other) => one < other,
  ">": (one, other) => one > other,
  "<=": (one, other) => one <= other,
  ">=": (one, other) => one >= other,
};

/** By how strongly they bind, as in C. */
const operators: readonly Readonly<Record<string, (one: number, other: number) => number>>[] = [
  { "|": (one, other) => (one | other) >>> 0, "^": (one, other) => (one ^ other) >>> 0 },
  { "&": (one, other) => (one & other) >>> 0 },
  { "<<": (one, other) => (one << other) >>> 0, ">>": (one, other) => one >>> other },
  { "+": (one, other) => (one + other) >>> 0, "-": (one, other) => (one - other) >>> 0 },
  {
    "*": (one, other) => Math.imul(one, other) >>> 0,
    "/": (one, other) => (other === 0 ? 0 : Math.floor(one / other)),
  },
];

/** Reads one relation from a place in the words; gives up without a word if there is none. */
export class Relations {
  readonly #words: readonly string[];
  #at: number;

  constructor(words: readonly string[], at: number) {
    this.#words = words;
    this.#at = at;
  }

  read(): { readonly filter: Filter; readonly next: number } | undefined {
    const left = this.#sum(0);
    const word = this.#words[this.#at] ?? "";
    const compare = Object.hasOwn(comparisons, word) ? comparisons[word] : undefined;
    if (!left || !compare) return undefined;
    this.#at++;
    const right = this.#sum(0);
    if (!right) return undefined;
    const filter: Filter = (frame) => {
      const [one, other] = [left(frame), right(frame)];
      return one !== undefined && other !== undefined && compare(one, other);
    };
    return { filter, next: this.#at };
  }

  #sum(level: number): Value | undefined {
    const known = operators[level];
    if (!known) return this.#atom();
    let left = this.#sum(level + 1);
    for (
      let word = this.#words[this.#at] ?? "";
      left && Object.hasOwn(known, word);
      word = this.#words[this.#at] ?? ""
    ) {
      this.#at++;
      const [one, operate, other] = [left, known[word], this.#sum(level + 1)];
      if (!other || !operate) return undefined;
      left = (frame) => {
        const [first, second] = [one(frame), other(frame)];
        return first === undefined || second === undefined ? undefined : operate(first, second);
      };
    }
    return left;
  }

  #atom(): Value | undefined {
    const word = this.#words[this.#at++];
    if (word === undefined) return undefined;
    if (word === "(") {
      const inner = this.#sum(0);
      return this.#words[this.#at++] === ")" ? inner : undefined;
    }
    if (word === "len") return (frame) => frame.length;
    if (fields.has(word)) return this.#field(word);
    const number = numberOf(word);
    return number === undefined ? undefined : () => number;
  }

  /** `tcp[12:1]`, `tcp[((tcp[12] & 0xf0) >> 2):4]`: the place may be any expression. */
  #field(protocol: string): Value | undefined {
    if (this.#words[this.#at] !== "[") return undefined;
    const inside = this.#inside();
    if (!inside) return undefined;
    const colon = inside.lastIndexOf(":");
    const size = colon >= 0 && colon === inside.length - 2 ? inside[colon + 1] : "1";
    const place = colon >= 0 && colon === inside.length - 2 ? inside.slice(0, colon) : inside;
    const reader = new Relations(place, 0);
    const offset = reader.#sum(0);
    if (!offset || reader.#at < place.length || !/^[124]$/.test(size ?? "")) return undefined;
    return (frame) => {
      const at = offset(frame);
      return at === undefined ? undefined : fieldOf(protocol, at, Number(size))(frame);
    };
  }

  /** The words up to the bracket that closes; `12:1` is three of them. */
  #inside(): readonly string[] | undefined {
    const inside: string[] = [];
    let depth = 0;
    for (; this.#at < this.#words.length; this.#at++) {
      const word = this.#words[this.#at] ?? "";
      if (word === "[") depth++;
      if (word === "]") depth--;
      if (depth === 0) {
        this.#at++;
        return inside.slice(1);
      }
      inside.push(...(/^[\w-]+:\w+$/.test(word) ? word.split(/(:)/) : [word]));
    }
    return undefined;
  }
}

function numberOf(word: string): number | undefined {
  if (Object.hasOwn(constants, word)) return constants[word];
  if (/^0x[0-9a-f]+$/i.test(word)) return Number.parseInt(word, 16);
  return /^\d+$/.test(word) ? Number(word) : undefined;
}
