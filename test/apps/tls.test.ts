import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { binaryOf, streamOf, textOf } from "../../kernel-lib/apps/octets";
import {
  type Certificate,
  CertificateRequest,
  issueCertificate,
  readCertificates,
} from "../../kernel-lib/apps/tls/certificate";
import { readExtension } from "../../kernel-lib/apps/tls/extensions";
import { generateKey, type PrivateKey, readPrivateKey } from "../../kernel-lib/apps/tls/keys";
import { nameLine, readSubject } from "../../kernel-lib/apps/tls/names";
import { clientHello, readClientHello } from "../../kernel-lib/apps/tls/records";
import { clientOverTls, overTls, type SecureSocket, type TlsFailure } from "../../kernel-lib/apps/tls/stream";
import { matchName, verifyChain } from "../../kernel-lib/apps/tls/verify";
import { parseIp } from "../../kernel-lib/net/address";
import { utf8 } from "../../kernel-lib/net/bytes";
import { utf8Length } from "../../kernel-lib/net/packet";
import { type CapturedFrame, pcapFile } from "../../kernel-lib/net/pcap";
import { hour, second } from "../../kernel-lib/sim/clock";
import { Random } from "../../kernel-lib/sim/random";
import { requireOrSkip } from "../judges";
import { overlay } from "../net/topology";

const day = 24 * hour;
const begin = 1_767_225_600 * second;
const random = new Random(1);

function subject(text: string) {
  const name = readSubject(text);
  if ("problem" in name) throw new Error(name.problem);
  return name;
}

interface Issued {
  readonly certificate: Certificate;
  readonly key: PrivateKey;
}

function issue(
  name: string,
  extensions: readonly string[],
  issuer?: Issued,
  days: readonly [number, number] = [0, 365],
): Issued {
  const key = generateKey(random, 1024);
  const asked = extensions.map((text) => {
    const extension = readExtension(text);
    if ("problem" in extension) throw new Error(String(extension.problem));
    return extension;
  });
  const times = { notBefore: begin + days[0] * day, notAfter: begin + days[1] * day };
  const request = CertificateRequest.make(key, subject(name), []);
  const parts = issuer ? { key: request, issuer } : { key, issuer: undefined };
  const made = { ...parts, ...times, subject: subject(name), extensions: ["self", "authority", ...asked] } as const;
  return { key, certificate: issueCertificate(made, random) };
}

const ca = issue("/CN=CA", ["basicConstraints=critical,CA:TRUE"]);
const web = issue("/CN=web", ["subjectAltName=DNS:web,DNS:*.example.org,IP:10.0.0.1,IP:fd00::1"], ca);

test("the same seed gives the same key, another draw another, and both have their full length", () => {
  const [one, same] = [generateKey(new Random(7), 1024), generateKey(new Random(7), 1024)];
  const stream = new Random(7);
  generateKey(stream, 1024);
  const other = generateKey(stream, 1024);
  expect(same.pem).toBe(one.pem);
  expect(other.pem).not.toBe(one.pem);
  expect([one.bits, other.bits]).toEqual([1024, 1024]);
  expect(readPrivateKey(one.pem)?.modulus).toBe(one.modulus);
  expect(readPrivateKey(one.traditionalPem)?.modulus).toBe(one.modulus);
});

test("octets that are no text travel in a text, each as one octet", () => {
  const all = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).join("");
  expect(utf8Length(streamOf(all))).toBe(256);
  expect([...utf8(streamOf(all))]).toEqual(Array.from({ length: 256 }, (_, octet) => octet));
  expect(binaryOf(streamOf(all))).toBe(all);
  const text = "grüße, 世界 🌍";
  expect(textOf(binaryOf(text))).toBe(text);
});

describe("a chain", () => {
  const codes = (
    leaf: Certificate,
    trusted: readonly Certificate[],
    now = begin + day,
    untrusted: readonly Certificate[] = [],
  ) => verifyChain(leaf, { trusted, untrusted, now }).problems.map(({ code, depth }) => [code, depth]);

  test("is believed up to who is trusted, within its time", () => {
    expect(codes(web.certificate, [ca.certificate])).toEqual([]);
    expect(codes(web.certificate, [ca.certificate], begin - second)).toEqual([
      [9, 1],
      [9, 0],
    ]);
    expect(codes(web.certificate, [ca.certificate], begin + 366 * day)).toEqual([
      [10, 1],
      [10, 0],
    ]);
    expect(codes(web.certificate, [])).toEqual([
      [20, 0],
      [21, 0],
    ]);
    expect(codes(ca.certificate, [])).toEqual([[18, 0]]);
    expect(codes(web.certificate, [], begin + day, [ca.certificate])).toEqual([[19, 1]]);
  });

  test("is broken by who may not issue, who issued too deep, and who only has the name", () => {
    const middle = issue("/CN=middle", ["basicConstraints=CA:TRUE,pathlen:0"], ca);
    const low = issue("/CN=low", ["basicConstraints=CA:TRUE"], middle);
    const leaf = issue("/CN=leaf", [], low);
    expect(codes(leaf.certificate, [ca.certificate], begin + day, [low.certificate, middle.certificate])).toEqual([
      [25, 2],
    ]);
    const under = issue("/CN=under", [], web);
    expect(codes(under.certificate, [ca.certificate], begin + day, [web.certificate])).toEqual([[79, 1]]);
    // The same name, no key identifier, another key.
    const key = generateKey(random, 1024);
    const fake = { notBefore: begin, notAfter: begin + day, subject: subject("/CN=x"), serial: "01" };
    const extensions = [{ name: "basicConstraints", cA: false }];
    const forged = issueCertificate(
      {
        ...fake,
        key: CertificateRequest.make(key, subject("/CN=x"), []),
        issuer: { certificate: ca.certificate, key },
        extensions,
      },
      random,
    );
    expect(codes(forged, [ca.certificate])).toEqual([[7, 0]]);
  });

  test("ends at anything that is trusted only if that is asked for", () => {
    const trusts = { trusted: [web.certificate], now: begin + day };
    expect(verifyChain(web.certificate, trusts).problems.map(({ code }) => code)).toEqual([20, 21]);
    expect(verifyChain(web.certificate, { ...trusts, partial: true }).problems).toEqual([]);
  });
});

test("names match as RFC 9525 has it: one label for a star, addresses only as addresses, the common name last", () => {
  const by = (host: string): string => matchName(web.certificate, host).by;
  expect(["web", "WEB.", "a.example.org", "10.0.0.1", "fd00:0::1"].map(by)).toEqual(Array(5).fill("alternative"));
  expect(["webs", "example.org", "a.b.example.org", "10.0.0.2", ".example.org"].map(by)).toEqual(Array(5).fill("none"));
  expect(matchName(ca.certificate, "ca")).toEqual({ by: "common name", name: "CA" });
});

test("a subject is read with its escapes, and printed with OpenSSL's", () => {
  expect(nameLine(subject("/C=DE/O=A\\/B, C/CN=x"))).toBe('C = DE, O = "A/B, C", CN = x');
  expect(readSubject("CN=x")).toHaveProperty("problem");
});

test("what is broken in a PEM spoils nothing else of it", () => {
  const broken = ca.certificate.pem.replace(/\n.{20}/, "\n????????");
  expect(readCertificates(`${broken}${web.certificate.pem}`).map((one) => one?.serial)).toEqual([
    undefined,
    web.certificate.serial,
  ]);
  expect(readCertificates("nothing")).toEqual([]);
});

test("a client's hello says the name, and is padded to 512 octets as OpenSSL pads it", () => {
  const parts = {
    random: "r".repeat(32),
    session: "s".repeat(32),
    share: "k".repeat(32),
    protocols: ["h2", "http/1.1"],
  };
  const hello = clientHello({ ...parts, serverName: "my-nginx.default", padded: true });
  expect(hello.length).toBe(512);
  expect(readClientHello(hello)).toMatchObject({ serverName: "my-nginx.default", protocols: ["h2", "http/1.1"] });
});

describe("a connection", () => {
  interface Talk {
    readonly heard: string[];
    readonly wire: string[];
    readonly frames: CapturedFrame[];
    failure?: TlsFailure;
  }

  function talk(check: (shown: readonly string[]) => number | undefined, serve: "tls" | "plain" = "tls"): Talk {
    const { sim, nodes } = overlay(2);
    const [client, server] = nodes;
    if (!client || !server) throw new Error("two nodes were asked for");
    const done: Talk = { heard: [], wire: [], frames: [] };
    const accept = (): object => ({
      data: (socket: SecureSocket, text: string) => {
        done.heard.push(`server ${socket.secure ?? "plain"} ${text.slice(0, 20)}`);
        socket.write(`${"x".repeat(40_000)}ü`);
      },
    });
    const side = { chain: () => [web.certificate, ca.certificate], protocols: ["http/1.1"], random: new Random(3) };
    server.sockets.listenTcp({ port: 443 }, serve === "tls" ? overTls(side, accept) : (accept as () => object));
    let length = 0;
    client.sockets.connectTcp(
      { ip: parseIp("192.168.1.12"), port: 443 },
      clientOverTls(
        {
          host: "web",
          protocols: ["h2", "http/1.1"],
          random: new Random(4),
          padded: true,
          check,
          secured: (protocol) => done.heard.push(`client ${protocol}`) > 0,
          broken: (why) => {
            done.failure = why;
          },
        },
        {
          connected: (socket) => socket.write("the secret"),
          data: (_socket, text) => {
            length += text.length;
            if (text.endsWith("ü")) done.heard.push(`client ${length}`);
          },
        },
      ),
    );
    client.device("eth0").tap((frame, _direction, at) => {
      done.frames.push({ frame, at });
      if (frame.type !== "ip" || frame.packet.body.protocol !== "tcp") return;
      const { payload } = frame.packet.body;
      if (payload !== "") done.wire.push(payload);
    });
    sim.clock.settle();
    return done;
  }

  test("carries text both ways in records that show nothing of it", () => {
    let shown: readonly string[] = [];
    const { heard, wire, failure } = talk((chain) => {
      shown = chain;
      return undefined;
    });
    expect(failure).toBeUndefined();
    expect(heard).toEqual(["client http/1.1", "server true the secret", "client 40001"]);
    expect(shown).toEqual([web.certificate.der, ca.certificate.der]);
    expect(wire.join("")).not.toMatch(/the secret|xxxxx/);
    // The client's hello with its record's head; its end of the handshake: 6 octets and 74.
    const sizes = wire.map((payload) => utf8Length(payload));
    expect(sizes[0]).toBe(517);
    expect(sizes).toContain(80);
    expect(sizes).toContain("the secret".length + 22);
  });

  test("is TLS 1.3 to Wireshark's eyes: a hello with the server's name, its answer, and data that is no more than that", (context) => {
    const probe = spawnSync("tshark", ["--version"], { encoding: "utf8" });
    requireOrSkip(context, probe.status === 0, "no tshark here");
    const file = join(mkdtempSync(join(tmpdir(), "kubebook-tls-")), "talk.pcap");
    try {
      writeFileSync(file, pcapFile(talk(() => undefined).frames));
      const fields = [
        "tls.handshake.type",
        "tls.handshake.extensions_server_name",
        "tls.record.opaque_type",
        "_ws.malformed",
      ];
      const asked = fields.flatMap((field) => ["-e", field]);
      const options = ["-r", file, "-Y", "tls || _ws.malformed", "-T", "fields", ...asked];
      const lines = spawnSync("tshark", options, { encoding: "utf8" }).stdout.trimEnd().split("\n");
      expect(lines[0]?.trimEnd()).toBe("1\tweb");
      expect(lines[1]?.trimEnd()).toMatch(/^2\t\t23(,23)*$/);
      // A segment in the middle of a record has nothing to show yet.
      for (const line of lines.slice(2)) expect(line.trim()).toMatch(/^(23(,23)*)?$/);
    } finally {
      rmSync(dirname(file), { recursive: true, force: true });
    }
  });

  test("is refused for the certificate, and told apart from one that is none of TLS", () => {
    expect(talk(() => 48)).toMatchObject({ heard: [], failure: { failure: "refused" } });
    expect(talk(() => undefined, "plain").failure).toEqual({ failure: "not-tls" });
  });
});
