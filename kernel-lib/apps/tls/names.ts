/** Owns distinguished names: reading them (`/CN=my-nginx/O=my-nginx`) and their text as OpenSSL writes it (RFC 5280, 4.1.2.4). */
import type forge from "node-forge";
import { binaryOf, textOf } from "../octets";

/** One part of a name. */
export interface NamePart {
  /** `CN` */
  readonly short: string;
  readonly value: string;
}

export type DistinguishedName = readonly NamePart[];

interface Kind {
  readonly oid: string;
  readonly long: string;
  /** The ASN.1 string that it is written as, unless UTF8String: 19 PrintableString, 22 IA5String. */
  readonly tag?: number;
}

const kinds: Readonly<Record<string, Kind>> = {
  CN: { oid: "2.5.4.3", long: "commonName" },
  SN: { oid: "2.5.4.4", long: "surname" },
  serialNumber: { oid: "2.5.4.5", long: "serialNumber", tag: 19 },
  C: { oid: "2.5.4.6", long: "countryName", tag: 19 },
  L: { oid: "2.5.4.7", long: "localityName" },
  ST: { oid: "2.5.4.8", long: "stateOrProvinceName" },
  street: { oid: "2.5.4.9", long: "streetAddress" },
  O: { oid: "2.5.4.10", long: "organizationName" },
  OU: { oid: "2.5.4.11", long: "organizationalUnitName" },
  title: { oid: "2.5.4.12", long: "title" },
  GN: { oid: "2.5.4.42", long: "givenName" },
  DC: { oid: "0.9.2342.19200300.100.1.25", long: "domainComponent", tag: 22 },
  UID: { oid: "0.9.2342.19200300.100.1.1", long: "userId" },
  emailAddress: { oid: "1.2.840.113549.1.9.1", long: "emailAddress", tag: 22 },
};

const utf8String = 12;

/** What the library wants of a name. */
export function attributesOf(name: DistinguishedName): forge.NameAttribute[] {
  return name.flatMap(({ short, value }) => {
    const kind = kinds[short];
    return kind
      ? { type: kind.oid, name: kind.long, value, valueTagClass: kind.tag ?? utf8String }
      : { type: short, name: short, value, valueTagClass: utf8String };
  });
}

/** A name as the library has read it. */
export function nameOf(attributes: readonly forge.NameAttribute[]): DistinguishedName {
  return attributes.map(({ type = "", value, valueTagClass }) => {
    const short = Object.entries(kinds).find(([, { oid }]) => oid === type)?.[0] ?? type;
    return { short, value: valueTagClass === utf8String ? textOf(value) : value };
  });
}

export function sameName(one: DistinguishedName, other: DistinguishedName): boolean {
  return (
    one.length === other.length &&
    one.every(({ short, value }, at) => short === other[at]?.short && value === other[at]?.value)
  );
}

/** The most specific common name; undefined if there is none. */
export function commonName(name: DistinguishedName): string | undefined {
  return name.filter(({ short }) => short === "CN").at(-1)?.value;
}

/** `CN = my-nginx, O = my-nginx`: OpenSSL's one line (XN_FLAG_ONELINE), as version 3.0 prints it. */
export function nameLine(name: DistinguishedName, equals = " = ", between = ", "): string {
  return name.map(({ short, value }) => `${short}${equals}${escaped(value)}`).join(between);
}

function escaped(value: string): string {
  const quoted = /^[ #]| $|[,+"<>;]/.test(value);
  const octets = Array.from(binaryOf(value), (octet) => {
    const code = octet.charCodeAt(0);
    if (octet === '"' || octet === "\\") return `\\${octet}`;
    return code < 32 || code > 126 ? `\\${code.toString(16).toUpperCase().padStart(2, "0")}` : octet;
  });
  return quoted ? `"${octets.join("")}"` : octets.join("");
}

/** `-subj`: `/CN=my-nginx/O=my-nginx`. Or what is wrong with it, in OpenSSL's words. */
export function readSubject(text: string): DistinguishedName | { readonly problem: string; readonly skipped?: true } {
  if (!text.startsWith("/")) {
    return {
      problem: `name is expected to be in the format /type0=value0/type1=value1/type2=... where characters may be escaped by \\. This name is not in that format: '${text}'`,
    };
  }
  const parts: NamePart[] = [];
  for (const part of text.slice(1).match(/(?:\\.|[^/\\])+/g) ?? []) {
    const plain = part.replace(/\\(.)/g, "$1");
    const equals = plain.indexOf("=");
    if (equals < 0) return { problem: `Hit end of string before finding the '='` };
    const [word, value] = [plain.slice(0, equals), plain.slice(equals + 1)];
    const short = Object.entries(kinds).find(([name, { long }]) => name === word || long === word)?.[0];
    // OpenSSL passes over what it does not know, and over what is empty.
    if (short !== undefined && value !== "") parts.push({ short, value });
  }
  return parts;
}
