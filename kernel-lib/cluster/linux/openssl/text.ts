/** Owns certificates and requests as `openssl x509 -text` and `openssl req -text` print them. */

import { rfc3339 } from "../../../api/time";
import type { Certificate, CertificateRequest, Signed } from "../../../apps/tls/certificate";
import { colons, extensionText } from "../../../apps/tls/extensions";
import { nameLine } from "../../../apps/tls/names";
import type { Time } from "../../../sim/clock";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Jan  1 00:00:00 2026 GMT` (ASN1_TIME_print). */
export function timeText(time: Time): string {
  const text = rfc3339(time);
  const month = months[Number(text.slice(5, 7)) - 1] ?? "";
  return `${month} ${String(Number(text.slice(8, 10))).padStart(2)} ${text.slice(11, 19)} ${text.slice(0, 4)} GMT`;
}

/** Octets in hexadecimal, so many on a line. */
function block(hex: string, perLine: number, indent: number): readonly string[] {
  const octets = hex.match(/../g) ?? [];
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += perLine) {
    const last = at + perLine >= octets.length;
    lines.push(`${" ".repeat(indent)}${octets.slice(at, at + perLine).join(":")}${last ? "" : ":"}`);
  }
  return lines;
}

export function hexOf(octets: string): string {
  return colons(octets, false).replaceAll(":", "");
}

function keyLines(signed: Signed): readonly string[] {
  const { modulus, exponent, bits } = signed;
  const even = modulus.length % 2 === 0 ? modulus : `0${modulus}`;
  // A number whose first bit is set is written with a zero before it, lest it be negative.
  const whole = Number.parseInt(even[0] ?? "0", 16) > 7 ? `00${even}` : even;
  return [
    "        Subject Public Key Info:",
    "            Public Key Algorithm: rsaEncryption",
    `                Public-Key: (${bits} bit)`,
    "                Modulus:",
    ...block(whole, 15, 20),
    `                Exponent: ${exponent} (0x${exponent.toString(16)})`,
  ];
}

function signatureLines(signed: Signed): readonly string[] {
  return [
    `    Signature Algorithm: ${signed.algorithm}`,
    "    Signature Value:",
    ...block(hexOf(signed.signature), 18, 8),
  ];
}

/** Title and value of each extension. */
export function extensionLines(extensions: Signed["extensions"], indent: number): readonly string[] {
  return extensions.flatMap((extension) => {
    const [title = "", ...values] = extensionText(extension);
    return [`${" ".repeat(indent)}${title}`, ...values.map((value) => `${" ".repeat(indent + 4)}${value}`)];
  });
}

export function certificateText(certificate: Certificate): string {
  const { serial, version, extensions } = certificate;
  // Small numbers are shown as numbers.
  const small = Number.parseInt(serial, 16);
  const number =
    serial.length <= 16 && Number.isSafeInteger(small)
      ? [`        Serial Number: ${small} (0x${small.toString(16)})`]
      : ["        Serial Number:", `            ${serial.match(/../g)?.join(":") ?? ""}`];
  const lines = [
    "Certificate:",
    "    Data:",
    `        Version: ${version} (0x${version - 1})`,
    ...number,
    `        Signature Algorithm: ${certificate.algorithm}`,
    `        Issuer: ${nameLine(certificate.issuer)}`,
    "        Validity",
    `            Not Before: ${timeText(certificate.notBefore)}`,
    `            Not After : ${timeText(certificate.notAfter)}`,
    `        Subject: ${nameLine(certificate.subject)}`,
    ...keyLines(certificate),
    ...(extensions.length > 0 ? ["        X509v3 extensions:", ...extensionLines(extensions, 12)] : []),
    ...signatureLines(certificate),
  ];
  return `${lines.join("\n")}\n`;
}

export function requestText(request: CertificateRequest): string {
  const { extensions } = request;
  const lines = [
    "Certificate Request:",
    "    Data:",
    "        Version: 1 (0x0)",
    `        Subject: ${nameLine(request.subject)}`,
    ...keyLines(request),
    "        Attributes:",
    ...(extensions.length > 0
      ? ["            Requested Extensions:", ...extensionLines(extensions, 16)]
      : ["            (none)", "            Requested Extensions:"]),
    ...signatureLines(request),
  ];
  return `${lines.join("\n")}\n`;
}
