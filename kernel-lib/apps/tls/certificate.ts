/** Owns certificates and requests for them: reading PEM, and issuing (RFC 5280, RFC 2986), by node-forge. */
import forge from "node-forge";
import { millisecond, second, type Time } from "../../sim/clock";
import type { Random } from "../../sim/random";
import { hexDigits } from "../../sim/random";
import type { Extension } from "./extensions";
import { PrivateKey, unix } from "./keys";
import { attributesOf, type DistinguishedName, nameOf } from "./names";

/** The names of signature algorithms, by their object identifiers. */
const algorithms: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
  "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
  "1.2.840.113549.1.1.10": "rsassaPss",
  "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
  "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
  "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
};

/** What a certificate and a request for one have in common. */
export interface Signed {
  readonly subject: DistinguishedName;
  /** Hexadecimal, lower case. */
  readonly modulus: string;
  readonly exponent: number;
  readonly bits: number;
  readonly publicPem: string;
  readonly algorithm: string;
  /** One character an octet. */
  readonly signature: string;
  readonly extensions: readonly Extension[];
  readonly pem: string;
}

/** A certificate as it is: never changed. */
export class Certificate implements Signed {
  readonly #inside: forge.Certificate;
  /** DER, one character an octet. */
  readonly der: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;

  private constructor(inside: forge.Certificate, der: string) {
    this.#inside = inside;
    this.der = der;
    this.subject = nameOf(inside.subject.attributes);
    this.issuer = nameOf(inside.issuer.attributes);
  }

  static read(der: string): Certificate {
    return new Certificate(forge.pki.certificateFromAsn1(forge.asn1.fromDer(der), true), der);
  }

  /** 1 to 3. */
  get version(): number {
    return this.#inside.version + 1;
  }

  /** Hexadecimal, lower case, whole octets. */
  get serial(): string {
    return this.#inside.serialNumber.replace(/^00(?=.)/, "");
  }

  get notBefore(): Time {
    return this.#inside.validity.notBefore.getTime() * millisecond;
  }

  get notAfter(): Time {
    return this.#inside.validity.notAfter.getTime() * millisecond;
  }

  get algorithm(): string {
    return algorithms[this.#inside.signatureOid] ?? this.#inside.signatureOid;
  }

  get signature(): string {
    return this.#inside.signature;
  }

  get modulus(): string {
    return this.#inside.publicKey.n.toString(16);
  }

  get exponent(): number {
    return Number.parseInt(this.#inside.publicKey.e.toString(10), 10);
  }

  get bits(): number {
    return this.#inside.publicKey.n.bitLength();
  }

  get publicPem(): string {
    return unix(forge.pki.publicKeyToPem(this.#inside.publicKey));
  }

  get extensions(): readonly Extension[] {
    return extensionsOf(this.#inside.extensions);
  }

  get pem(): string {
    return pemOf("CERTIFICATE", this.der);
  }

  /** The fingerprint, hexadecimal, lower case. */
  fingerprint(digest: "md5" | "sha1" | "sha256" | "sha384" | "sha512"): string {
    return forge.md[digest].create().update(this.der).digest().toHex();
  }

  /** Whether this one's key has signed the other. */
  hasSigned(other: Certificate): boolean {
    try {
      return this.#inside.publicKey.verify(other.#inside.md.digest().getBytes(), other.signature);
    } catch {
      return false;
    }
  }

  /** Whether the private key is the one that belongs to it. */
  belongsTo(key: PrivateKey): boolean {
    return key.modulus === this.modulus;
  }

  /** The identifier of its key, as its issuer's certificates name it. */
  get keyId(): string {
    return keyIdOf(this.#inside.publicKey);
  }
}

/** SHA-1 of the public key (RFC 5280, 4.2.1.2). */
function keyIdOf(key: forge.PublicKey): string {
  return forge.pki.getPublicKeyFingerprint(key, { md: forge.md.sha1.create() }).getBytes();
}

function extensionsOf(inside: readonly forge.Extension[]): readonly Extension[] {
  return inside.map(({ id = "", critical = false, value = "" }) => {
    return { oid: id, critical, der: typeof value === "string" ? value : forge.asn1.toDer(value).getBytes() };
  });
}

function pemOf(type: string, der: string): string {
  const lines = forge.util.encode64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join("\n")}\n-----END ${type}-----\n`;
}

/** All certificates of a PEM, in their order; those that are none, or whose key is not RSA's, are undefined. */
export function readCertificates(text: string): readonly (Certificate | undefined)[] {
  return blocks(text, ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"]).map((der) => {
    try {
      return Certificate.read(der);
    } catch {
      return undefined;
    }
  });
}

function blocks(text: string, types: readonly string[]): readonly string[] {
  // A block is read by itself: one that is broken spoils no other.
  const found = text.match(/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?-----END [A-Z0-9 ]+-----/g) ?? [];
  return found.flatMap((block) => {
    try {
      return forge.pem.decode(block).flatMap(({ type, body }) => (types.includes(type) ? body : []));
    } catch {
      return "";
    }
  });
}

/** A request to sign a certificate. */
export class CertificateRequest implements Signed {
  readonly #inside: forge.CertificationRequest;

  private constructor(inside: forge.CertificationRequest) {
    this.#inside = inside;
  }

  static read(text: string): CertificateRequest | undefined {
    const [der] = blocks(text, ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]);
    try {
      if (der === undefined) return undefined;
      return new CertificateRequest(forge.pki.certificationRequestFromAsn1(forge.asn1.fromDer(der), true));
    } catch {
      return undefined;
    }
  }

  static make(key: PrivateKey, subject: DistinguishedName, extensions: readonly forge.Extension[]): CertificateRequest {
    const request = forge.pki.createCertificationRequest();
    request.publicKey = forge.pki.setRsaPublicKey(key.inside.n, key.inside.e);
    request.setSubject(attributesOf(subject));
    if (extensions.length > 0) request.setAttributes([{ name: "extensionRequest", extensions }]);
    request.sign(key.inside, forge.md.sha256.create());
    const made = CertificateRequest.read(forge.pki.certificationRequestToPem(request));
    if (!made) throw new Error("a request that was made just now cannot be read");
    return made;
  }

  /** The library's own. */
  get publicKey(): forge.PublicKey {
    return this.#inside.publicKey;
  }

  get subject(): DistinguishedName {
    return nameOf(this.#inside.subject.attributes);
  }

  get modulus(): string {
    return this.#inside.publicKey.n.toString(16);
  }

  get exponent(): number {
    return Number.parseInt(this.#inside.publicKey.e.toString(10), 10);
  }

  get bits(): number {
    return this.#inside.publicKey.n.bitLength();
  }

  get publicPem(): string {
    return unix(forge.pki.publicKeyToPem(this.#inside.publicKey));
  }

  get algorithm(): string {
    return algorithms[this.#inside.signatureOid] ?? this.#inside.signatureOid;
  }

  get signature(): string {
    return this.#inside.signature;
  }

  get extensions(): readonly Extension[] {
    return extensionsOf(this.#inside.getAttribute({ name: "extensionRequest" })?.extensions ?? []);
  }

  get pem(): string {
    return unix(forge.pki.certificationRequestToPem(this.#inside));
  }

  /** Whether it was signed with the key that is in it. */
  get verified(): boolean {
    try {
      return this.#inside.verify();
    } catch {
      return false;
    }
  }
}

/** What a new certificate is to be. */
export interface Issue {
  readonly subject: DistinguishedName;
  /** Whose key it certifies. */
  readonly key: PrivateKey | CertificateRequest;
  /** Who signs; undefined: the key itself. */
  readonly issuer: { readonly certificate: Certificate; readonly key: PrivateKey } | undefined;
  readonly notBefore: Time;
  readonly notAfter: Time;
  /** Hexadecimal; drawn if it is not given. */
  readonly serial?: string;
  /** In the order in which they are written; `self` and `authority` stand for the two key identifiers. */
  readonly extensions: readonly (forge.Extension | Extension | "self" | "authority")[];
}

/** A new certificate, signed with SHA-256. */
export function issueCertificate(issue: Issue, random: Random): Certificate {
  const { key, issuer } = issue;
  const certificate = forge.pki.createCertificate();
  const own = key instanceof PrivateKey ? forge.pki.setRsaPublicKey(key.inside.n, key.inside.e) : key.publicKey;
  certificate.publicKey = own;
  certificate.version = issue.extensions.length > 0 ? 2 : 0;
  certificate.serialNumber = issue.serial ?? drawSerial(random);
  certificate.validity.notBefore.setTime(Math.floor(issue.notBefore / second) * 1000);
  certificate.validity.notAfter.setTime(Math.floor(issue.notAfter / second) * 1000);
  certificate.setSubject(attributesOf(issue.subject));
  certificate.setIssuer(attributesOf(issuer?.certificate.subject ?? issue.subject));
  const authority = issuer?.certificate.keyId ?? keyIdOf(own);
  if (issue.extensions.length > 0) {
    certificate.setExtensions(
      issue.extensions.map((extension) => {
        if (extension === "self") return { name: "subjectKeyIdentifier" };
        if (extension === "authority") return { name: "authorityKeyIdentifier", keyIdentifier: authority };
        return isExtension(extension)
          ? { id: extension.oid, critical: extension.critical, value: extension.der }
          : extension;
      }),
    );
  }
  const signer = issuer?.key ?? key;
  if (!(signer instanceof PrivateKey)) throw new Error("who signs has a private key");
  certificate.sign(signer.inside, forge.md.sha256.create());
  return Certificate.read(forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes());
}

function isExtension(extension: forge.Extension | Extension): extension is Extension {
  return "oid" in extension && "der" in extension;
}

/** A random number of 20 octets, positive, and none shorter: the first octet is 0x40 to 0x7f. */
export function drawSerial(random: Random): string {
  const digits = hexDigits(random, 40);
  return `${((Number.parseInt(digits[0] ?? "0", 16) & 3) | 4).toString(16)}${digits.slice(1)}`;
}
