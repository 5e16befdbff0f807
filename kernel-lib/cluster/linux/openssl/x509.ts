/** Owns `openssl x509`: what is in a certificate, and signing one for a request. */
import {
  type Certificate,
  CertificateRequest,
  drawSerial,
  issueCertificate,
  readCertificates,
} from "../../../apps/tls/certificate";
import { oids, readExtension } from "../../../apps/tls/extensions";
import { type PrivateKey, readPrivateKey } from "../../../apps/tls/keys";
import { nameLine } from "../../../apps/tls/names";
import { second } from "../../../sim/clock";
import { resolvePath } from "../../shell/filesystem";
import { type Call, Failed } from "../../shell/tool";
import { day, daysOf, serialOf } from "./req";
import { certificateText, extensionLines, timeText } from "./text";
import { Options, readInput, trace, unreadable, write } from "./words";

const prints = [
  "subject",
  "issuer",
  "dates",
  "startdate",
  "enddate",
  "serial",
  "fingerprint",
  "pubkey",
  "modulus",
  "ext",
  "hash",
  "subject_hash",
  "email",
];
const digests = ["md5", "sha1", "sha256", "sha384", "sha512"] as const;
const rules = [
  ...prints.map((name) => (name === "ext" ? "ext:" : name)),
  ...digests,
  ...["in:", "out:", "noout", "text", "req", "CA:", "CAkey:", "CAcreateserial", "CAserial:", "days:", "set_serial:"],
  ...["copy_extensions:", "extfile:", "extensions:", "checkend:", "checkhost:", "checkip:", "inform:", "outform:"],
  ...["signkey:", "key:", "nameopt:"],
];

export function x509(call: Call, args: readonly string[]): number {
  const options = new Options("x509", args, rules);
  const path = options.text("in");
  const text = readInput(call, path, options.has("req") ? "certificate request" : "certificate");
  let certificate: Certificate;
  if (options.has("req")) certificate = sign(call, options, text);
  else {
    const [found] = readCertificates(text);
    if (!found) throw unreadable("certificate", path);
    certificate = found;
  }
  let shown = options.has("text") ? certificateText(certificate) : "";
  for (const [name, value] of options.given(prints)) shown += line(call, certificate, name, value, options);
  const seconds = options.text("checkend");
  if (seconds !== undefined) {
    const expires = certificate.notAfter < call.cluster.sim.clock.now + Number(seconds) * second;
    call.out(`${shown}Certificate will ${expires ? "" : "not "}expire\n`);
    return expires ? 1 : 0;
  }
  if (!options.has("noout")) shown += certificate.pem;
  if (options.has("out")) write(call, options.text("out"), shown);
  else call.out(shown);
  return 0;
}

function line(call: Call, certificate: Certificate, name: string, value: string, options: Options): string {
  switch (name) {
    case "subject":
      return `subject=${nameLine(certificate.subject)}\n`;
    case "issuer":
      return `issuer=${nameLine(certificate.issuer)}\n`;
    case "startdate":
      return `notBefore=${timeText(certificate.notBefore)}\n`;
    case "enddate":
      return `notAfter=${timeText(certificate.notAfter)}\n`;
    case "dates":
      return line(call, certificate, "startdate", "", options) + line(call, certificate, "enddate", "", options);
    case "serial":
      return `serial=${certificate.serial.toUpperCase()}\n`;
    case "modulus":
      return `Modulus=${certificate.modulus.toUpperCase()}\n`;
    case "pubkey":
      return certificate.publicPem;
    case "fingerprint": {
      const digest = digests.find((each) => options.has(each)) ?? "sha1";
      const octets = certificate.fingerprint(digest).toUpperCase().match(/../g) ?? [];
      const title = digest === "sha256" ? "sha256" : digest.toUpperCase();
      return `${title} Fingerprint=${octets.join(":")}\n`;
    }
    case "ext":
      return extensionsText(call, certificate, value);
    default:
      throw new Failed(`x509: -${name} cannot be told here`);
  }
}

function extensionsText(call: Call, certificate: Certificate, wanted: string): string {
  const names = wanted.split(",").map((name) => {
    const known = name.trim() as keyof typeof oids;
    return Object.hasOwn(oids, known) ? oids[known] : undefined;
  });
  const found = certificate.extensions.filter(({ oid }) => names.includes(oid as (typeof names)[number]));
  if (found.length === 0) {
    call.err("No extensions in certificate\n");
    return "";
  }
  return `${extensionLines(found, 0).join("\n")}\n`;
}

function keyAt(call: Call, path: string, what: string): PrivateKey {
  const key = readPrivateKey(readInput(call, path, what));
  if (!key) throw unreadable(what, path);
  return key;
}

/** A certificate for a request: signed by a CA, or by the requester's own key. */
function sign(call: Call, options: Options, text: string): Certificate {
  const request = CertificateRequest.read(text);
  if (!request) throw unreadable("certificate request", options.text("in"));
  if (!request.verified) throw new Failed("Certificate request self-signature did not match the contents");
  call.err(`Certificate request self-signature ok\nsubject=${nameLine(request.subject)}\n`);
  const authority = options.text("CA");
  const own = options.text("signkey") ?? options.text("key");
  const { now } = call.cluster.sim.clock;
  const serial = serialFor(call, options, authority);
  const issue = {
    subject: request.subject,
    notBefore: now,
    notAfter: now + daysOf("x509", options.text("days")) * day,
    ...(serial !== undefined && { serial }),
    extensions: withIdentifiers(extensionsFor(call, options, request)),
  };
  if (authority === undefined) {
    if (own === undefined) throw new Failed("x509: We need a private key to sign with, use -key or -CA or -CAkey");
    const key = keyAt(call, own, "private key");
    if (key.modulus !== request.modulus) throw new Failed("x509: The key is not the one of the request");
    return issueCertificate({ ...issue, key, issuer: undefined }, call.shell.random);
  }
  const [certificate] = readCertificates(readInput(call, authority, "CA certificate"));
  if (!certificate) throw unreadable("CA certificate", authority);
  const key = keyAt(call, options.text("CAkey") ?? authority, "CA private key");
  if (!certificate.belongsTo(key)) {
    const problem = trace(
      "05800074:x509 certificate routines:X509_check_private_key:key values mismatch:../crypto/x509/x509_cmp.c:403:",
    );
    throw new Failed(`CA certificate and CA private key do not match\n${problem}`);
  }
  return issueCertificate({ ...issue, key: request, issuer: { certificate, key } }, call.shell.random);
}

/** The next number of a CA that counts, kept beside its certificate; undefined: any. */
function serialFor(call: Call, options: Options, authority: string | undefined): string | undefined {
  const given = options.text("set_serial");
  if (given !== undefined) return serialOf(given);
  const file = options.text("CAserial") ?? (authority && `${authority.replace(/\.[^./]*$/, "")}.srl`);
  if (file === undefined || authority === undefined) return undefined;
  const last = call.place.files.read(resolvePath(call.folder, file))?.trim();
  if (last === undefined && !options.has("CAcreateserial")) {
    // Since OpenSSL 3.0 a CA that does not count takes any number.
    return undefined;
  }
  const next =
    last === undefined ? drawSerial(call.shell.random) : serialOf(`0x${(BigInt(`0x${last}`) + 1n).toString(16)}`);
  write(call, file, `${next.toUpperCase()}\n`);
  return next;
}

/** With extensions it is of version 3, and has the identifiers of both keys; without, of version 1. */
function withIdentifiers(extensions: readonly Asked[]): readonly Asked[] {
  return extensions.length > 0 ? [...extensions, "self", "authority"] : [];
}

type Asked = Parameters<typeof issueCertificate>[0]["extensions"][number];

/** Those of a file (`-extfile`), and those of the request if they are to be copied. */
function extensionsFor(call: Call, options: Options, request: CertificateRequest): Asked[] {
  const copy = options.text("copy_extensions") ?? "none";
  if (!["none", "copy", "copyall"].includes(copy))
    throw new Failed(`x509: Invalid value for -copy_extensions: ${copy}`);
  const path = options.text("extfile");
  const section = options.text("extensions");
  const listed = path === undefined ? [] : extensionsIn(readInput(call, path, "extension file"), section);
  return [...listed, ...(copy === "none" ? [] : request.extensions)];
}

/** `name = value` lines of a section of a configuration file; of those before the first section if none is named. */
function extensionsIn(text: string, section: string | undefined): Asked[] {
  let current: string | undefined;
  const found: Asked[] = [];
  for (const raw of text.split("\n")) {
    const words = raw.replace(/#.*$/, "").trim();
    const title = /^\[\s*(.*?)\s*\]$/.exec(words);
    if (title) current = title[1];
    else if (words !== "" && (current === section || (section === undefined && current === "default"))) {
      const [name = ""] = words.split("=").map((word) => word.trim());
      if (name === "subjectKeyIdentifier" || name === "authorityKeyIdentifier") continue;
      const extension = readExtension(words);
      if ("problem" in extension) throw new Failed(`x509: Error adding extensions: ${extension.problem}`);
      found.push(extension as Asked);
    }
  }
  return found;
}
