/**
 * Owns what we use of node-forge, typed: its community's types lean on Node's, which the core must not see.
 * Octets are strings here, one character (0 to 255) each.
 */
declare module "node-forge" {
  namespace forge {
    interface BigInteger {
      toString(radix: number): string;
      bitLength(): number;
      equals(other: BigInteger): boolean;
    }

    interface Asn1 {
      readonly tagClass: number;
      readonly type: number;
      readonly constructed: boolean;
      readonly value: string | Asn1[];
    }

    interface Digest {
      update(octets: string): Digest;
      digest(): { getBytes(): string; toHex(): string };
    }

    interface PublicKey {
      readonly n: BigInteger;
      readonly e: BigInteger;
      verify(digest: string, signature: string): boolean;
    }

    interface PrivateKey {
      readonly n: BigInteger;
      readonly e: BigInteger;
      sign(digest: Digest): string;
    }

    interface NameAttribute {
      readonly type?: string;
      readonly name?: string;
      readonly shortName?: string;
      readonly value: string;
      readonly valueTagClass?: number;
    }

    interface Name {
      readonly attributes: NameAttribute[];
      readonly hash: string | null;
    }

    interface Extension {
      readonly id?: string;
      readonly name?: string;
      readonly critical?: boolean;
      /** DER of the extension's value. */
      readonly value?: string | Asn1;
      readonly [field: string]: unknown;
    }

    interface Instant {
      getTime(): number;
      setTime(milliseconds: number): number;
    }

    interface Certificate {
      version: number;
      serialNumber: string;
      signatureOid: string;
      siginfo: { algorithmOid: string };
      signature: string;
      md: Digest;
      publicKey: PublicKey;
      tbsCertificate: Asn1;
      readonly validity: { readonly notBefore: Instant; readonly notAfter: Instant };
      readonly issuer: Name;
      readonly subject: Name;
      readonly extensions: Extension[];
      setSubject(attributes: readonly NameAttribute[]): void;
      setIssuer(attributes: readonly NameAttribute[]): void;
      setExtensions(extensions: readonly Extension[]): void;
      sign(key: PrivateKey, digest: Digest): void;
      isIssuer(parent: Certificate): boolean;
    }

    interface CertificationRequest {
      readonly subject: Name;
      publicKey: PublicKey;
      version: number;
      signature: string;
      siginfo: { algorithmOid: string };
      signatureOid: string;
      getAttribute(name: string | { readonly name: string }): { readonly extensions?: Extension[] } | null;
      setSubject(attributes: readonly NameAttribute[]): void;
      setAttributes(attributes: readonly { readonly name: string; readonly extensions: readonly Extension[] }[]): void;
      sign(key: PrivateKey, digest: Digest): void;
      verify(): boolean;
    }
  }

  const forge: {
    readonly asn1: {
      fromDer(octets: string): forge.Asn1;
      toDer(asn1: forge.Asn1): { getBytes(): string };
      derToOid(octets: string): string;
    };
    readonly jsbn: { readonly BigInteger: new (digits: string, radix: number) => forge.BigInteger };
    readonly md: {
      readonly sha1: { create(): forge.Digest };
      readonly sha256: { create(): forge.Digest };
      readonly sha384: { create(): forge.Digest };
      readonly sha512: { create(): forge.Digest };
      readonly md5: { create(): forge.Digest };
    };
    readonly pem: { decode(text: string): { readonly type: string; readonly body: string }[] };
    readonly pki: {
      readonly oids: { readonly [name: string]: string };
      createCertificate(): forge.Certificate;
      createCertificationRequest(): forge.CertificationRequest;
      certificateFromAsn1(asn1: forge.Asn1, computeHash: boolean): forge.Certificate;
      certificateToAsn1(certificate: forge.Certificate): forge.Asn1;
      certificateToPem(certificate: forge.Certificate): string;
      certificationRequestFromAsn1(asn1: forge.Asn1, computeHash: boolean): forge.CertificationRequest;
      certificationRequestToPem(request: forge.CertificationRequest): string;
      getPublicKeyFingerprint(key: forge.PublicKey, options: { readonly md: forge.Digest }): { getBytes(): string };
      privateKeyFromAsn1(asn1: forge.Asn1): forge.PrivateKey;
      privateKeyToAsn1(key: forge.PrivateKey): forge.Asn1;
      privateKeyInfoToPem(info: forge.Asn1): string;
      privateKeyToPem(key: forge.PrivateKey): string;
      publicKeyToPem(key: forge.PublicKey): string;
      setRsaPrivateKey(...parts: readonly forge.BigInteger[]): forge.PrivateKey;
      setRsaPublicKey(n: forge.BigInteger, e: forge.BigInteger): forge.PublicKey;
      wrapRsaPrivateKey(key: forge.Asn1): forge.Asn1;
    };
    readonly util: { encode64(octets: string): string };
  };
  export = forge;
}
