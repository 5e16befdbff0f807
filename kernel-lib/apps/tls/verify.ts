/** Owns whether a certificate is to be believed: its chain, its time, its name, by OpenSSL's rules and in its words (RFC 5280, 6). */
import { tryParseIp } from "../../net/address";
import type { Time } from "../../sim/clock";
import type { Certificate } from "./certificate";
import { altNames, constraints, keyIdentifier, keyUsages } from "./extensions";
import { commonName, sameName } from "./names";

/** OpenSSL's numbers and words (X509_V_ERR_…). */
const words = {
  7: "certificate signature failure",
  9: "certificate is not yet valid",
  10: "certificate has expired",
  18: "self-signed certificate",
  19: "self-signed certificate in certificate chain",
  20: "unable to get local issuer certificate",
  21: "unable to verify the first certificate",
  25: "path length constraint exceeded",
  32: "key usage does not include certificate signing",
  62: "hostname mismatch",
  64: "IP address mismatch",
  79: "invalid CA certificate",
} as const;

export type VerifyCode = keyof typeof words;

/** What is wrong with a chain, and with which certificate of it (0: the one that was shown). */
export interface VerifyProblem {
  readonly code: VerifyCode;
  readonly words: string;
  readonly depth: number;
  readonly certificate: Certificate;
}

/** The chain as far as it was built, and all that is wrong with it in the order in which OpenSSL comes upon it. */
export interface Verified {
  readonly chain: readonly Certificate[];
  readonly problems: readonly VerifyProblem[];
}

export interface VerifyOptions {
  readonly trusted: readonly Certificate[];
  /** What was sent beside it. */
  readonly untrusted?: readonly Certificate[];
  readonly now: Time;
  /** Whether anything that is trusted ends the chain, not only what has signed itself (curl). */
  readonly partial?: boolean;
}

export function verifyWords(code: VerifyCode): string {
  return words[code];
}

/** Whether a certificate has signed itself, as far as names and key identifiers tell. */
function isSelfSigned(certificate: Certificate): boolean {
  return issued(certificate, certificate);
}

function issued(issuer: Certificate, child: Certificate): boolean {
  if (!sameName(issuer.subject, child.issuer)) return false;
  const wanted = keyIdentifier(child.extensions, "authorityKeyIdentifier");
  const has = keyIdentifier(issuer.extensions, "subjectKeyIdentifier");
  if (wanted !== undefined && has !== undefined && wanted !== has) return false;
  const usages = keyUsages(issuer.extensions);
  return issuer === child || usages === undefined || usages.includes("keyCertSign");
}

/** Builds the chain of a certificate to one that is trusted, and checks it. */
export function verifyChain(leaf: Certificate, options: VerifyOptions): Verified {
  const { trusted, untrusted = [], now, partial = false } = options;
  const trusts = (one: Certificate): boolean => trusted.some(({ der }) => der === one.der);
  const chain = [leaf];
  const problems: VerifyProblem[] = [];
  const tell = (code: VerifyCode, depth: number): void => {
    const certificate = chain[depth];
    if (certificate) problems.push({ code, words: words[code], depth, certificate });
  };
  let anchored = trusts(leaf) && (partial || isSelfSigned(leaf));
  for (let last = leaf; !anchored && !isSelfSigned(last) && chain.length < 100; ) {
    const known = chain;
    const next = [...trusted, ...untrusted].find((one) => issued(one, last) && !known.includes(one));
    if (!next) break;
    chain.push(next);
    last = next;
    anchored = trusts(next) && (partial || isSelfSigned(next));
  }
  const top = chain.length - 1;
  const end = chain[top] ?? leaf;
  if (!anchored) {
    if (isSelfSigned(end)) tell(top === 0 ? 18 : 19, top);
    else {
      tell(20, top);
      if (top === 0) tell(21, 0);
    }
  }
  checkAuthorities(chain, tell);
  checkSignatures(chain, now, tell);
  return { chain, problems };
}

type Tell = (code: VerifyCode, depth: number) => void;

/** Who has issued another must be allowed to. */
function checkAuthorities(chain: readonly Certificate[], tell: Tell): void {
  for (const [depth, certificate] of chain.entries()) {
    if (depth === 0) continue;
    const said = constraints(certificate.extensions);
    // Of version 1 only one that has signed itself may: there was no other way to say it.
    if (said ? !said.ca : !(certificate.version === 1 && isSelfSigned(certificate))) tell(79, depth);
    if (said?.pathLength !== undefined && depth - 1 > said.pathLength) tell(25, depth);
  }
}

/** From the top down: signatures, and the time. */
function checkSignatures(chain: readonly Certificate[], now: Time, tell: Tell): void {
  for (let depth = chain.length - 1; depth >= 0; depth--) {
    const certificate = chain[depth];
    const issuer = chain[depth + 1];
    if (!certificate) continue;
    if (issuer && !issuer.hasSigned(certificate)) tell(7, depth);
    if (certificate.notBefore > now) tell(9, depth);
    if (certificate.notAfter < now) tell(10, depth);
  }
}

/** How a certificate answers to the name by which somebody called: by which of its names, or not at all. */
export type NameMatch =
  | { readonly by: "alternative"; readonly name: string }
  | { readonly by: "common name"; readonly name: string }
  | { readonly by: "none"; readonly has: "alternatives" | "common name" | "nothing"; readonly name: string };

/**
 * Compares a host's name or address with those of a certificate, as curl does: where it has alternative names of hosts or
 * addresses the common name does not count (RFC 6125, 6.4.4).
 */
export function matchName(certificate: Certificate, host: string): NameMatch {
  const address = tryParseIp(host);
  const names = altNames(certificate.extensions).filter(({ kind }) => kind === "DNS" || kind === "IP Address");
  for (const { kind, value } of names) {
    const same =
      address === undefined
        ? kind === "DNS" && matches(value, host)
        : kind === "IP Address" && tryParseIp(value) === address;
    if (same) return { by: "alternative", name: value };
  }
  if (names.length > 0) return { by: "none", has: "alternatives", name: "" };
  const common = commonName(certificate.subject);
  if (common === undefined) return { by: "none", has: "nothing", name: "" };
  const same = address === undefined ? matches(common, host) : common === host;
  return same ? { by: "common name", name: common } : { by: "none", has: "common name", name: common };
}

/** `*` stands for the whole first label of a name that has at least two more (RFC 9525, 6.3). */
function matches(pattern: string, host: string): boolean {
  const [one, other] = [pattern, host].map((name) => name.toLowerCase().replace(/\.$/, "")) as [string, string];
  if (!one.startsWith("*.")) return one === other;
  const rest = one.slice(1);
  const label = other.slice(0, other.indexOf("."));
  return rest.slice(1).includes(".") && label !== "" && other.slice(label.length) === rest;
}
