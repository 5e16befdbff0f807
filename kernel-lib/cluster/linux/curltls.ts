/** Owns curl's TLS: whom it trusts, what it tells with -v, and the words with which it refuses a server. */
import { Certificate, readCertificates } from "../../apps/tls/certificate";
import { nameLine } from "../../apps/tls/names";
import { alerts } from "../../apps/tls/records";
import type { Step, TlsFailure } from "../../apps/tls/stream";
import { matchName, type VerifyProblem, verifyChain } from "../../apps/tls/verify";
import { tryParseIp } from "../../net/address";
import { resolvePath } from "../shell/filesystem";
import type { Call } from "../shell/tool";
import type { Request } from "./http";
import { timeText } from "./openssl/text";
import { machineStore } from "./openssl/verify";

/** An exit code of curl's, and its message. */
export type Problem = readonly [code: number, message: string];

export interface TlsOptions {
  readonly insecure: boolean;
  /** `--cacert`; undefined: the machine's own store. */
  readonly authorities: string | undefined;
}

const steps: Readonly<Record<number, string>> = {
  1: "Client hello",
  2: "Server hello",
  4: "Newsession Ticket",
  8: "Encrypted Extensions",
  11: "Certificate",
  15: "CERT verify",
  20: "Finished",
};

/** What OpenSSL's libraries answer to a chain that fails (ssl_x509err2alert). */
const alertFor: Readonly<Record<number, number>> = { 7: 51, 9: 42, 10: 45 };
const unknownAuthority = 48;

/** Bits of strength of RSA keys, as OpenSSL counts them (NIST SP 800-57). */
function strength(bits: number): number {
  return bits >= 4096 ? 152 : bits >= 3072 ? 128 : bits >= 2048 ? 112 : 80;
}

const advice = `
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the webpage mentioned above.`;

/** One handshake of curl's, and what it has to say of it. */
export class CurlTls {
  readonly #call: Call;
  readonly #host: string;
  readonly #options: TlsOptions;
  readonly #trusted: readonly Certificate[];
  readonly #lines: string[] = [];
  readonly #later: string[] = [];
  #chain: readonly Certificate[] = [];
  #verified: readonly Certificate[] = [];
  #fault: VerifyProblem | undefined;
  #refusal: string | undefined;
  #done = false;
  /** Whether all has been said of the handshake. */
  #settled = false;

  /** @throws Problem (77) if what is to be trusted cannot be read */
  private constructor(call: Call, host: string, options: TlsOptions, trusted: readonly Certificate[]) {
    this.#call = call;
    this.#host = host;
    this.#options = options;
    this.#trusted = trusted;
    this.#say("ALPN: curl offers h2,http/1.1");
  }

  static prepare(call: Call, host: string, options: TlsOptions): CurlTls | Problem {
    const { files } = call.place;
    const { authorities, insecure } = options;
    const text = files.read(authorities === undefined ? machineStore : resolvePath(call.folder, authorities));
    const found = readCertificates(text ?? "").filter((one): one is Certificate => one !== undefined);
    if (authorities !== undefined && !insecure && found.length === 0) {
      return [77, `error adding trust anchors from file: ${authorities}`];
    }
    return new CurlTls(call, host, options, found);
  }

  /** The lines of `-v` about the handshake, without the stars. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Those about what the server sent of its own afterwards. */
  get later(): readonly string[] {
    return this.#later;
  }

  /** Whether the handshake is done. */
  get done(): boolean {
    return this.#done;
  }

  #say(line: string): void {
    (this.#settled ? this.#later : this.#lines).push(line);
  }

  /** What the exchange needs of it. */
  get side(): NonNullable<Request["tls"]> {
    return {
      host: this.#host,
      protocols: ["h2", "http/1.1"],
      check: (shown) => this.#check(shown),
      secured: (protocol) => this.#secured(protocol),
      step: (step) => this.#step(step),
    };
  }

  #step({ direction, type, number }: Step): void {
    const words = {
      handshake: `TLS handshake, ${steps[number] ?? "Unknown"}`,
      "change cipher": "TLS change cipher, Change cipher spec",
      alert: `TLS alert, ${alerts[number & 255] ?? "unknown"}`,
    };
    this.#say(`TLSv1.3 (${direction}), ${words[type]} (${number}):`);
    if (direction === "OUT" && number === 1 && type === "handshake" && !this.#options.insecure) {
      this.#say(` CAfile: ${this.#options.authorities ?? machineStore}`);
      this.#say(" CApath: /etc/ssl/certs");
    }
  }

  #check(shown: readonly string[]): number | undefined {
    this.#chain = shown.map((der) => Certificate.read(der));
    const [leaf, ...untrusted] = this.#chain;
    if (!leaf) return unknownAuthority;
    const { now } = this.#call.cluster.sim.clock;
    const { chain, problems } = verifyChain(leaf, { trusted: this.#trusted, untrusted, now, partial: true });
    this.#verified = chain;
    [this.#fault] = problems;
    if (this.#options.insecure || !this.#fault) return undefined;
    this.#refusal = `SSL certificate problem: ${this.#fault.words}`;
    return alertFor[this.#fault.code] ?? unknownAuthority;
  }

  #secured(protocol: string | undefined): boolean {
    const [leaf] = this.#chain;
    if (!leaf) return false;
    this.#done = true;
    this.#say("SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384 / X25519 / RSASSA-PSS");
    this.#say(
      protocol === undefined
        ? "ALPN: server did not agree on a protocol. Uses default."
        : `ALPN: server accepted ${protocol}`,
    );
    this.#say("Server certificate:");
    this.#say(` subject: ${nameLine(leaf.subject, "=", "; ")}`);
    this.#say(` start date: ${timeText(leaf.notBefore)}`);
    this.#say(` expire date: ${timeText(leaf.notAfter)}`);
    if (!this.#options.insecure && !this.#isNamed(leaf)) return false;
    this.#say(` issuer: ${nameLine(leaf.issuer, "=", "; ")}`);
    const fault = this.#fault;
    this.#say(
      fault
        ? ` SSL certificate verify result: ${fault.words} (${fault.code}), continuing anyway.`
        : " SSL certificate verify ok.",
    );
    for (const [level, { bits, algorithm }] of (fault ? this.#chain : this.#verified).entries()) {
      const kind = `Public key type RSA (${bits}/${strength(bits)} Bits/secBits)`;
      this.#say(`  Certificate level ${level}: ${kind}, signed using ${algorithm}`);
    }
    this.#settled = true;
    return true;
  }

  /** Whether the certificate is for the host that was asked for; says so either way. */
  #isNamed(leaf: Certificate): boolean {
    const host = this.#host;
    const match = matchName(leaf, host);
    const address = tryParseIp(host);
    if (match.by === "common name") this.#say(` common name: ${match.name} (matched)`);
    else if (match.by === "alternative") {
      this.#say(
        address === undefined
          ? ` subjectAltName: host "${host}" matched cert's "${match.name}"`
          : ` subjectAltName: host "${host}" matched cert's IP address!`,
      );
    } else if (match.has === "alternatives") {
      const kind = address === undefined ? "host name" : typeof address === "number" ? "ipv4 address" : "ipv6 address";
      this.#say(` subjectAltName does not match ${kind} ${host}`);
      this.#refusal = `SSL: no alternative certificate subject name matches target ${kind} '${host}'`;
    } else if (match.has === "common name") {
      this.#refusal = `SSL: certificate subject name '${match.name}' does not match target host name '${host}'`;
    } else this.#refusal = "SSL: unable to obtain common name from peer certificate";
    return match.by !== "none";
  }

  /** Why there was no exchange. */
  problem(why: TlsFailure): Problem {
    switch (why.failure) {
      case "refused":
        return [60, `${this.#refusal ?? "SSL peer certificate was not OK"}${advice}`];
      case "not-tls":
        return [35, "TLS connect error: error:0A00010B:SSL routines::wrong version number"];
      case "closed":
        return [35, "TLS connect error: error:0A000126:SSL routines::unexpected eof while reading"];
      case "alert": {
        const number = (1000 + why.alert).toString(16).toUpperCase();
        return [35, `TLS connect error: error:0A000${number}:SSL routines::tlsv1 ${alerts[why.alert] ?? "alert"}`];
      }
    }
  }
}
