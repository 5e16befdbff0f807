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

  /** `tcp[12:1]`: the place may be any sum of numbers. */
  #field(protocol: string): Value | undefined {
    if (this.#words[this.#at] !== "[") return undefined;
    this.#at++;
    const inside: string[] = [];
    for (let word = this.#words[this.#at++]; word !== "]"; word = this.#words[this.#at++]) {
      if (word === undefined) return undefined;
      inside.push(word);
    }
    const [place = "", size = "1", ...more] = inside.join(" ").split(/\s*:\s*/);
    const offset = new Relations(place.split(" "), 0).#sum(0)?.(new Uint8Array());
    if (more.length > 0 || offset === undefined || !/^[124]$/.test(size)) return undefined;
    return fieldOf(protocol, offset, Number(size));
  }
}

function numberOf(word: string): number | undefined {
  if (Object.hasOwn(constants, word)) return constants[word];
  if (/^0x[0-9a-f]+$/i.test(word)) return Number.parseInt(word, 16);
  return /^\d+$/.test(word) ? Number(word) : undefined;
}
