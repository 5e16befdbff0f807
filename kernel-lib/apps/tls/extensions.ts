/** Owns the extensions of certificates: reading `-addext` and the like, and their text as OpenSSL prints it (RFC 5280, 4.2). */
import forge from "node-forge";
import { formatIp, parseIp, tryParseIp } from "../../net/address";
import { textOf } from "../octets";
import { nameLine, nameOf } from "./names";

/** One extension: what it is, and its DER. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** DER of its value, one character an octet. */
  readonly der: string;
}

/** One of a subject's other names. */
export interface AltName {
  readonly kind: "DNS" | "IP Address" | "email" | "URI" | "other";
  readonly value: string;
}

export const oids = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

export type ExtensionName = keyof typeof oids;

const titles: { readonly [Name in ExtensionName]: string } = {
  subjectKeyIdentifier: "X509v3 Subject Key Identifier",
  keyUsage: "X509v3 Key Usage",
  subjectAltName: "X509v3 Subject Alternative Name",
  basicConstraints: "X509v3 Basic Constraints",
  authorityKeyIdentifier: "X509v3 Authority Key Identifier",
  extendedKeyUsage: "X509v3 Extended Key Usage",
};

const usages: readonly (readonly [short: string, long: string])[] = [
  ["digitalSignature", "Digital Signature"],
  ["nonRepudiation", "Non Repudiation"],
  ["keyEncipherment", "Key Encipherment"],
  ["dataEncipherment", "Data Encipherment"],
  ["keyAgreement", "Key Agreement"],
  ["keyCertSign", "Certificate Sign"],
  ["cRLSign", "CRL Sign"],
  ["encipherOnly", "Encipher Only"],
  ["decipherOnly", "Decipher Only"],
];

const purposes: readonly (readonly [short: string, long: string, oid: string])[] = [
  ["serverAuth", "TLS Web Server Authentication", "1.3.6.1.5.5.7.3.1"],
  ["clientAuth", "TLS Web Client Authentication", "1.3.6.1.5.5.7.3.2"],
  ["codeSigning", "Code Signing", "1.3.6.1.5.5.7.3.3"],
  ["emailProtection", "E-mail Protection", "1.3.6.1.5.5.7.3.4"],
  ["timeStamping", "Time Stamping", "1.3.6.1.5.5.7.3.8"],
];

function extensionNamed(extensions: readonly Extension[], name: ExtensionName): Extension | undefined {
  return extensions.find(({ oid }) => oid === oids[name]);
}

/** The value's parts, if it is a sequence. */
function parts(der: string): readonly forge.Asn1[] {
  const { value } = forge.asn1.fromDer(der);
  return typeof value === "string" ? [] : value;
}

const altKinds: Readonly<Record<number, AltName["kind"]>> = { 1: "email", 2: "DNS", 6: "URI", 7: "IP Address" };

export function altNames(extensions: readonly Extension[]): readonly AltName[] {
  const found = extensionNamed(extensions, "subjectAltName");
  if (!found) return [];
  return parts(found.der).map(({ type, value }) => {
    const kind = altKinds[type] ?? "other";
    if (typeof value !== "string") return { kind: "other", value: "<unsupported>" };
    return { kind, value: kind === "IP Address" ? addressOf(value) : textOf(value) };
  });
}

function addressOf(octets: string): string {
  const codes = Array.from(octets, (octet) => octet.charCodeAt(0));
  if (codes.length === 4) return codes.join(".");
  if (codes.length !== 16) return "<invalid>";
  const words = Array.from({ length: 8 }, (_, at) =>
    ((codes[2 * at] ?? 0) * 256 + (codes[2 * at + 1] ?? 0)).toString(16),
  );
  return formatIp(parseIp(words.join(":")));
}

/** Whether it may issue others, and through how many; undefined if nothing is said of it. */
export function constraints(
  extensions: readonly Extension[],
): { readonly ca: boolean; readonly pathLength: number | undefined } | undefined {
  const found = extensionNamed(extensions, "basicConstraints");
  if (!found) return undefined;
  const [first, second] = parts(found.der);
  const ca = first?.type === 1 && first.value !== "\0";
  const length = first?.type === 2 ? first : second;
  return { ca, pathLength: typeof length?.value === "string" ? length.value.charCodeAt(0) : undefined };
}

/** The short names of what its key may be used for; undefined: everything. */
export function keyUsages(extensions: readonly Extension[]): readonly string[] | undefined {
  const found = extensionNamed(extensions, "keyUsage");
  return found && usageBits(found.der).map((at) => usages[at]?.[0] ?? "");
}

function usageBits(der: string): readonly number[] {
  // A bit string: the header, how many bits are not used, and the bits.
  const octets = der.slice(3);
  return usages.flatMap((_, at) => ((octets.charCodeAt(at >> 3) || 0) & (0x80 >> (at & 7)) ? at : []));
}

/** Key identifiers as the octets that they are. */
export function keyIdentifier(
  extensions: readonly Extension[],
  name: "subjectKeyIdentifier" | "authorityKeyIdentifier",
): string | undefined {
  const found = extensionNamed(extensions, name);
  if (!found) return undefined;
  const asn1 = forge.asn1.fromDer(found.der);
  const part = name === "subjectKeyIdentifier" ? asn1 : parts(found.der).find(({ type }) => type === 0);
  return typeof part?.value === "string" ? part.value : undefined;
}

/** `78:A7:A2`. */
export function colons(octets: string, upper = true): string {
  const words = Array.from(octets, (octet) => octet.charCodeAt(0).toString(16).padStart(2, "0")).join(":");
  return upper ? words.toUpperCase() : words;
}

/** The title line and the value's lines, as `openssl x509 -ext` prints them. */
export function extensionText(extension: Extension): readonly string[] {
  const name = (Object.keys(oids) as ExtensionName[]).find((each) => oids[each] === extension.oid);
  const title = name ? titles[name] : extension.oid;
  return [`${title}: ${extension.critical ? "critical" : ""}`, ...valueLines(name, extension)];
}

function valueLines(name: ExtensionName | undefined, extension: Extension): readonly string[] {
  const { der } = extension;
  switch (name) {
    case "basicConstraints": {
      const { ca = false, pathLength } = constraints([extension]) ?? {};
      return [`CA:${ca ? "TRUE" : "FALSE"}${pathLength === undefined ? "" : `, pathlen:${pathLength}`}`];
    }
    case "subjectKeyIdentifier":
      return [colons(keyIdentifier([extension], name) ?? "")];
    case "authorityKeyIdentifier":
      return authorityLines(extension);
    case "subjectAltName":
      return [
        altNames([extension])
          .map(({ kind, value }) => `${kind}:${kind === "IP Address" ? wholeAddress(value) : value}`)
          .join(", "),
      ];
    case "keyUsage":
      return [
        usageBits(der)
          .map((at) => usages[at]?.[1])
          .join(", "),
      ];
    case "extendedKeyUsage":
      return [
        parts(der)
          .map(({ value }) => {
            const oid = forge.asn1.derToOid(typeof value === "string" ? value : "");
            return purposes.find(([, , known]) => known === oid)?.[1] ?? oid;
          })
          .join(", "),
      ];
    default:
      return [Array.from(der, (octet) => (/[\x20-\x7e]/.test(octet) ? octet : ".")).join("")];
  }
}

/** An IPv6 address with all its zeros, as OpenSSL prints it. */
function wholeAddress(text: string): string {
  if (!text.includes(":")) return text;
  const [before = "", after = ""] = text.split("::").map((part) => part.split(":").filter(Boolean).join(" "));
  const [first, last] = [before, after].map((part) => part.split(" ").filter(Boolean)) as [string[], string[]];
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  return [...first, ...zeros, ...last].join(":").toUpperCase();
}

function authorityLines(extension: Extension): readonly string[] {
  const [key, issuer, serial] = [0, 1, 2].map((type) => parts(extension.der).find((part) => part.type === type));
  const lines: string[] = [];
  // The word stands before it only where there is more to be told apart from.
  if (typeof key?.value === "string") lines.push(`${issuer || serial ? "keyid:" : ""}${colons(key.value)}`);
  const directory = typeof issuer?.value === "object" ? issuer.value[0]?.value : undefined;
  if (typeof directory === "object") {
    const attributes = directory.flatMap(({ value }) => {
      const name = typeof value === "object" ? value : [];
      return name.flatMap((set) => {
        const pair = typeof set.value === "object" ? set.value : [];
        const [oid, text] = [pair[0]?.value, pair[1]];
        if (typeof oid !== "string" || typeof text?.value !== "string") return [];
        return { type: forge.asn1.derToOid(oid), value: text.value, valueTagClass: text.type };
      });
    });
    lines.push(`DirName:/${nameLine(nameOf(attributes), "=", "/")}`);
  }
  if (typeof serial?.value === "string") lines.push(`serial:${colons(serial.value)}`);
  return lines;
}

/** What the library wants of an extension that is written as `name=value`; or what is wrong, in OpenSSL's words. */
export function readExtension(text: string): forge.Extension | { readonly problem: string } {
  const match = /^\s*([\w.]+)\s*=\s*(.*?)\s*$/.exec(text);
  if (!match) return { problem: `Error adding extensions: '${text}' is not of the form name=value` };
  const [, name = "", rest = ""] = match;
  const words = rest.split(",").map((word) => word.trim());
  const critical = words[0] === "critical";
  const values = critical ? words.slice(1) : words;
  switch (name) {
    case "subjectAltName":
      return readAltNames(values, critical);
    case "basicConstraints": {
      const fields = new Map(values.map((word) => [word.split(":")[0]?.toUpperCase(), word.split(":")[1] ?? ""]));
      const length = fields.get("PATHLEN");
      const cA = /^true$/i.test(fields.get("CA") ?? "");
      return { name, critical, cA, ...(length !== undefined && { pathLenConstraint: Number(length) }) };
    }
    case "keyUsage": {
      const unknown = values.find((word) => !usages.some(([short, long]) => word === short || word === long));
      if (unknown !== undefined) return { problem: `unknown bit string argument:name=${unknown}` };
      const set = usages.filter((pair) => pair.some((word) => values.includes(word)));
      return { name, critical, ...Object.fromEntries(set.map(([short]) => [short, true])) };
    }
    case "extendedKeyUsage": {
      const unknown = values.find((word) => !purposes.some((purpose) => purpose.includes(word)));
      if (unknown !== undefined) return { problem: `invalid object identifier:name=${unknown}` };
      const set = purposes.filter((purpose) => purpose.some((word) => values.includes(word)));
      return { name: "extKeyUsage", critical, ...Object.fromEntries(set.map(([short]) => [short, true])) };
    }
    default:
      return { problem: `unknown extension name: ${name}` };
  }
}

function readAltNames(words: readonly string[], critical: boolean): forge.Extension | { readonly problem: string } {
  const names: { type: number; value?: string; ip?: string }[] = [];
  for (const word of words) {
    const colon = word.indexOf(":");
    const [kind, value] = [word.slice(0, Math.max(colon, 0)), word.slice(colon + 1)];
    const type = { DNS: 2, IP: 7, email: 1, URI: 6 }[kind];
    if (type === undefined) return { problem: `unsupported option:name=${kind || word}` };
    if (type === 7) {
      if (tryParseIp(value) === undefined) return { problem: `bad ip address:value=${value}` };
      names.push({ type, ip: value });
    } else names.push({ type, value });
  }
  return { name: "subjectAltName", critical, altNames: names };
}
