/** Owns how tcpdump prints DNS messages (print-domain.c): `4711+ A? web.default.svc.cluster.local. (47)`. */
import { ascii, ipText, u8, u16, u32 } from "./octets";

const types: Readonly<Record<number, string>> = {
  1: "A",
  2: "NS",
  5: "CNAME",
  6: "SOA",
  12: "PTR",
  16: "TXT",
  28: "AAAA",
  33: "SRV",
  41: "OPT",
};

const codes = ["", " FormErr", " ServFail", " NXDomain", " NotImp", " Refused"] as const;

export function dns(data: Uint8Array, verbose: number): string {
  const [id, bits] = [u16(data, 0), u16(data, 2)];
  const response = (bits & 0x8000) !== 0;
  const counts = [4, 6, 8, 10].map((at) => u16(data, at));
  const [questions = 0, answers = 0, authority = 0, additional = 0] = counts;
  const reader = new Reader(data);
  const size = `(${data.length})`;
  if (!response) {
    const asked = reader.questions(questions);
    const more = [
      answers > 0 ? ` [${answers}a]` : "",
      authority > 0 ? ` [${authority}n]` : "",
      additional > 0 ? ` [${additional}au]` : "",
    ].join("");
    return `${id}${bits & 0x0100 ? "+" : ""}${more} ${asked.join(" ")} ${size}`;
  }
  const code = codes[bits & 15] ?? ` Resp${bits & 15}`;
  const flags = `${code}${bits & 0x0400 ? "*" : ""}${bits & 0x0080 ? "" : "-"}${bits & 0x0200 ? "|" : ""}`;
  const asked = reader.questions(questions);
  const question = verbose > 1 ? ` q: ${asked.join(", ")}` : "";
  const all =
    verbose > 1
      ? ([
          ["", answers],
          ["ns: ", authority],
          ["ar: ", additional],
        ] as const)
      : ([["", answers]] as const);
  const records = all.flatMap(([title, count]) => {
    const lines = reader.records(count, verbose);
    return lines.length > 0 ? ` ${title}${lines.join(", ")}` : "";
  });
  return `${id}${flags}${question} ${answers}/${authority}/${additional}${records.join("")} ${size}`;
}

class Reader {
  readonly #data: Uint8Array;
  #at = 12;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  questions(count: number): readonly string[] {
    return Array.from({ length: count }, () => {
      const name = this.#name();
      const type = types[u16(this.#data, this.#at)] ?? `Type${u16(this.#data, this.#at)}`;
      this.#at += 4;
      return `${type}? ${name}`;
    });
  }

  records(count: number, verbose: number): readonly string[] {
    return Array.from({ length: count }, () => this.#record(verbose));
  }

  #record(verbose: number): string {
    const name = this.#name();
    const type = u16(this.#data, this.#at);
    const ttl = u32(this.#data, this.#at + 4);
    const length = u16(this.#data, this.#at + 8);
    const begin = this.#at + 10;
    this.#at = begin;
    const head = verbose > 1 ? `${name} ${verbose > 2 ? `[${lifetime(ttl)}] ` : ""}` : "";
    const text = `${head}${types[type] ?? `Type${type}`}${this.#value(type, begin, verbose)}`;
    this.#at = begin + length;
    return text;
  }

  #value(type: number, begin: number, verbose: number): string {
    switch (type) {
      case 1:
        return ` ${ipText(this.#data, begin, 4)}`;
      case 28:
        return ` ${ipText(this.#data, begin, 16)}`;
      case 2:
      case 5:
      case 12:
        return ` ${this.#name()}`;
      case 6:
        return verbose > 0 ? ` ${this.#soa()}` : "";
      case 16: {
        const size = u8(this.#data, begin);
        return ` "${ascii(this.#data.subarray(begin + 1, begin + 1 + size))}"`;
      }
      case 33: {
        const [priority, weight, port] = [0, 2, 4].map((at) => u16(this.#data, begin + at));
        this.#at = begin + 6;
        return ` ${this.#name()}:${port} ${priority} ${weight}`;
      }
      default:
        return "";
    }
  }

  /** The zone's server and mailbox, then its serial, refresh, retry, expiry and minimum. */
  #soa(): string {
    const names = [this.#name(), this.#name()];
    return [...names, ...[0, 4, 8, 12, 16].map((at) => u32(this.#data, this.#at + at))].join(" ");
  }

  /** A name with its compression followed (RFC 1035 section 4.1.4). */
  #name(): string {
    const labels: string[] = [];
    let at = this.#at;
    let after: number | undefined;
    for (let hops = 0; hops < 128; hops++) {
      const length = u8(this.#data, at);
      if (length === 0) {
        after ??= at + 1;
        break;
      }
      if ((length & 0xc0) === 0xc0) {
        after ??= at + 2;
        at = u16(this.#data, at) & 0x3fff;
      } else {
        labels.push(ascii(this.#data.subarray(at + 1, at + 1 + length)));
        at += 1 + length;
      }
    }
    this.#at = after ?? this.#data.length;
    return `${labels.join(".")}.`;
  }
}

/** `30s`, `1h5m`: how long a record may be kept (util-print.c, unsigned_relts_print). */
function lifetime(seconds: number): string {
  if (seconds === 0) return "0s";
  const units = [
    ["w", 604_800],
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const;
  let left = seconds;
  let text = "";
  for (const [letter, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) text += `${count}${letter}`;
  }
  return text;
}
