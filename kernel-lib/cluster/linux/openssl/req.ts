/** Owns `openssl req`: keys, requests, and certificates that sign themselves. */
import { CertificateRequest, issueCertificate } from "../../../apps/tls/certificate";
import { readExtension } from "../../../apps/tls/extensions";
import { generateKey, type PrivateKey, readPrivateKey } from "../../../apps/tls/keys";
import { type DistinguishedName, nameLine, readSubject } from "../../../apps/tls/names";
import { hour } from "../../../sim/clock";
import { type Call, Failed } from "../../shell/tool";
import { requestText } from "./text";
import { Options, readInput, trace, unreadable, usage, write } from "./words";

export const day = 24 * hour;

const rules = [
  ...["x509", "new", "nodes", "noenc", "noout", "text", "subject", "verify", "sha256", "batch", "pubkey", "modulus"],
  ...[
    "days:",
    "newkey:",
    "key:",
    "keyout:",
    "in:",
    "out:",
    "subj:",
    "addext:",
    "set_serial:",
    "extensions:",
    "config:",
  ],
  ...["pkeyopt:", "not_before:", "not_after:", "CA:", "CAkey:"],
];

export function req(call: Call, args: readonly string[]): number {
  const options = new Options("req", args, rules);
  const asSigned = options.has("x509");
  if (!asSigned && !options.has("new") && !options.has("newkey"))
    return show(call, options, readRequest(call, options));
  const given = options.text("in") === undefined ? undefined : readRequest(call, options);
  const key = keyFor(call, options);
  const subject = given?.subject ?? subjectOf(options);
  const extensions = extensionsOf(options);
  if (!asSigned) {
    const made = CertificateRequest.make(key, subject, extensions);
    return show(call, options, made, true);
  }
  const { clock } = call.cluster.sim;
  const days = daysOf("req", options.text("days"));
  const named = (name: string): boolean => extensions.some((extension) => extension.name === name);
  const serial = options.text("set_serial");
  const certificate = issueCertificate(
    {
      subject,
      key,
      issuer: undefined,
      notBefore: clock.now,
      notAfter: clock.now + days * day,
      ...(serial !== undefined && { serial: serialOf(serial) }),
      // What the configuration that comes with OpenSSL adds (v3_ca), and what was asked for.
      extensions: [
        "self",
        "authority",
        ...(named("basicConstraints") ? [] : [{ name: "basicConstraints", cA: true, critical: true }]),
        ...extensions,
      ],
    },
    call.shell.random,
  );
  if (!options.has("noout") || options.has("out")) write(call, options.text("out"), certificate.pem);
  return 0;
}

/** `-days`, of which there are 30 if nothing is said. */
export function daysOf(command: string, text: string | undefined): number {
  if (text === undefined) return 30;
  if (!/^-?\d+$/.test(text)) throw usage(command, `Can't parse "${text}" as a number`);
  return Number(text);
}

/** A serial number as it is written (decimal, or hexadecimal after 0x) in whole octets of hexadecimal. */
export function serialOf(text: string): string {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text)) throw new Failed(`bad serial number ${text}`);
  const digits = BigInt(text).toString(16);
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Number.parseInt(even[0] ?? "0", 16) > 7 ? `00${even}` : even;
}

function readRequest(call: Call, options: Options): CertificateRequest {
  const path = options.text("in");
  const request = CertificateRequest.read(readInput(call, path, "certificate request"));
  if (!request) throw unreadable("certificate request", path);
  return request;
}

function subjectOf(options: Options): DistinguishedName {
  const text = options.text("subj");
  // Without one openssl asks for each part of the name in turn: here a name is given with the command.
  if (text === undefined) throw new Failed("req: No subject is given; say it with -subj '/CN=…'");
  const subject = readSubject(text);
  if ("problem" in subject) throw new Failed(`req: subject ${subject.problem}`);
  return subject;
}

function extensionsOf(options: Options): Parameters<typeof CertificateRequest.make>[2] {
  return options.all("addext").map((text) => {
    const extension = readExtension(text);
    if ("problem" in extension) {
      throw new Failed(
        `Error checking extensions defined using -addext\n${trace(`11000075:X509 V3 routines:${extension.problem}`)}`,
      );
    }
    return extension as Parameters<typeof CertificateRequest.make>[2][number];
  });
}

/** `rsa:2048`. What keys of other kinds need is not here, and that is said. */
export function bitsOf(text: string): number {
  const match = /^rsa(?::(\d+))?$/.exec(text);
  if (!match) throw new Failed(`req: keys of the kind "${text}" cannot be made here: only RSA's (-newkey rsa:2048)`);
  const bits = Number(match[1] ?? 2048);
  if (bits < 512) {
    throw new Failed(`Private key length too short, it needs to be at least 512 bits, not ${bits}.`);
  }
  if (bits > 4096 || bits % 16 !== 0) throw new Failed(`req: RSA keys have 512 to 4096 bits here, not ${bits}`);
  return bits;
}

/** What openssl shows while it looks for primes goes to the terminal only. */
function keyFor(call: Call, options: Options): PrivateKey {
  const path = options.text("key");
  if (path !== undefined) {
    const key = readPrivateKey(readInput(call, path, "private key"));
    if (!key) throw unreadable("private key", path);
    return key;
  }
  const key = generateKey(call.shell.random, bitsOf(options.text("newkey") ?? "rsa:2048"));
  if (!options.has("nodes") && !options.has("noenc")) {
    throw new Failed("req: a key that is protected by a pass phrase cannot be made here: add -noenc (-nodes)");
  }
  call.err("-----\n");
  write(call, options.text("keyout") ?? "privkey.pem", key.pem, 0o600);
  return key;
}

function show(call: Call, options: Options, request: CertificateRequest, made = false): number {
  if (options.has("verify")) {
    if (!request.verified) throw new Failed("Certificate request self-signature did not match the contents");
    call.err("Certificate request self-signature verify OK\n");
  }
  let text = "";
  if (options.has("text")) text += requestText(request);
  if (options.has("subject")) text += `subject=${nameLine(request.subject)}\n`;
  if (options.has("modulus")) text += `Modulus=${request.modulus.toUpperCase()}\n`;
  if (options.has("pubkey")) text += request.publicPem;
  if (!options.has("noout")) text += request.pem;
  if (made) write(call, options.text("out"), text);
  else if (text !== "") write(call, options.text("out"), text);
  return 0;
}
