/** Owns `openssl s_client`: a handshake, and what the server showed. */
import { Certificate } from "../../../apps/tls/certificate";
import { nameLine } from "../../../apps/tls/names";
import { alerts } from "../../../apps/tls/records";
import { clientOverTls, type SecureSocket, type Step, type TlsFailure } from "../../../apps/tls/stream";
import { type VerifyProblem, verifyChain, verifyWords } from "../../../apps/tls/verify";
import { parseIp } from "../../../net/address";
import { second } from "../../../sim/clock";
import { type Call, Failed } from "../../shell/tool";
import { lookUp } from "../http";
import { timeText } from "./text";
import { trustedBy } from "./verify";
import { Options, trace, usage } from "./words";

const rules = [
  ...["connect:", "servername:", "CAfile:", "alpn:", "verify:", "verify_hostname:", "host:", "port:"],
  ...[
    "showcerts",
    "noservername",
    "brief",
    "quiet",
    "verify_return_error",
    "tls1_3",
    "tls1_2",
    "ign_eof",
    "no_ign_eof",
    "4",
  ],
];

/** What came of it, in the order in which it came. */
interface Session {
  chain: readonly Certificate[];
  problems: readonly VerifyProblem[];
  protocol: string | undefined;
  read: number;
  written: number;
}

export async function sClient(call: Call, args: readonly string[]): Promise<number> {
  const options = new Options("s_client", args, rules);
  const target =
    options.text("connect") ??
    options.words[0] ??
    `${options.text("host") ?? "localhost"}:${options.text("port") ?? "4433"}`;
  const match = /^\[?([^\]]*?)\]?:(\w+)$/.exec(target);
  if (!match) throw usage("s_client", "-connect argument or target parameter malformed or ambiguous");
  const [, host = "", portText = ""] = match;
  const port = portText === "https" ? 443 : Number(portText);
  const found = await lookUp(call, host);
  if (found === "stopped") return 130;
  if (found === "timeout" || "problem" in found) {
    throw new Failed(
      `${trace("10080002:BIO routines:BIO_lookup_ex:system lib:../crypto/bio/bio_addr.c:738:Name or service not known")}\nconnect:errno=22`,
    );
  }
  return talk(call, options, { host, ip: found.ip, port });
}

const errnos: Readonly<Record<string, readonly [number: number, words: string]>> = {
  ECONNREFUSED: [111, "Connection refused"],
  ETIMEDOUT: [110, "Connection timed out"],
  EHOSTUNREACH: [113, "No route to host"],
  ENETUNREACH: [101, "Network is unreachable"],
  ECONNRESET: [104, "Connection reset by peer"],
};

async function talk(call: Call, options: Options, to: { host: string; ip: string; port: number }): Promise<number> {
  const session: Session = { chain: [], problems: [], protocol: undefined, read: 0, written: 0 };
  const trusted = trustedBy(call, options.text("CAfile"));
  let end: { readonly code: number; readonly text: string } | "secured" | undefined;
  let wake: () => void = () => {};
  const stop = (code: number, text: string): void => {
    end ??= { code, text };
    wake();
  };
  let socket: SecureSocket | undefined;
  const alpn = options.text("alpn");
  const serverName = options.has("noservername") ? null : options.text("servername");
  const handlers = clientOverTls(
    {
      host: to.host,
      ...(serverName !== undefined && { serverName }),
      protocols: alpn === undefined ? [] : alpn.split(","),
      random: call.shell.random,
      padded: false,
      check(shown) {
        session.chain = shown.map((der) => Certificate.read(der));
        const [leaf, ...untrusted] = session.chain;
        const verified = leaf && verifyChain(leaf, { trusted, untrusted, now: call.cluster.sim.clock.now });
        session.problems = verified?.problems ?? [];
        tellVerify(call, verified?.chain ?? [], session.problems);
        return options.has("verify_return_error") && session.problems.length > 0 ? 48 : undefined;
      },
      secured(protocol) {
        session.protocol = protocol;
        end = "secured";
        wake();
        return true;
      },
      broken: (why) => stop(1, failureText(why)),
      step: (step) => count(session, step),
    },
    {
      opened: (opened) => {
        socket = opened;
        call.out("CONNECTED(00000003)\n");
      },
      data: (_socket, text) => call.out(text),
      failed: (_socket, { errno }) => {
        const [number, words] = errnos[errno] ?? [5, errno];
        stop(
          1,
          `${trace(`8000006F:system library:BIO_connect:${words}:../crypto/bio/bio_sock2.c:114:calling connect()`)}\nconnect:errno=${number}\n`,
        );
      },
    },
  );
  const raw = call.place.netns.sockets.connectTcp({ ip: parseIp(to.ip), port: to.port, owner: "openssl" }, handlers);
  while (end === undefined) {
    const paused = await call.process.pause(
      (awake) => {
        wake = awake;
        return undefined;
      },
      undefined,
      "foreground",
    );
    if (paused === "stopped") {
      raw.abort();
      return 130;
    }
  }
  if (end !== "secured") {
    call.err(end.text);
    return end.code;
  }
  if (options.has("brief")) call.err(brief(session));
  else if (!options.has("quiet")) call.out(report(session, options.has("showcerts")));
  await converse(call, socket);
  return 0;
}

/** What is piped in is sent, and the answer awaited a while; a line that begins with Q ends it. */
async function converse(call: Call, socket: SecureSocket | undefined): Promise<void> {
  const lines = call.stdin.split("\n");
  const quit = lines.findIndex((line) => line.startsWith("Q"));
  const text = (quit < 0 ? lines : lines.slice(0, quit)).join("\n");
  if (text.trim() !== "") {
    socket?.write(text.endsWith("\n") ? text : `${text}\n`);
    await call.process.sleep(second, "foreground");
  }
  call.err("DONE\n");
  socket?.end();
}

function count(session: Session, step: Step): void {
  // Five octets before each record; within a sealed one seventeen more.
  const sealed = step.type === "handshake" && step.number !== 1 && step.number !== 2;
  const size = step.size + 5 + (sealed ? 17 : 0);
  if (step.direction === "IN") session.read += size + (step.number === 2 ? 6 : 0);
  else session.written += size;
}

function tellVerify(call: Call, chain: readonly Certificate[], problems: readonly VerifyProblem[]): void {
  for (const { certificate, depth, code, words } of problems) {
    call.err(`depth=${depth} ${nameLine(certificate.subject)}\nverify error:num=${code}:${words}\nverify return:1\n`);
  }
  for (const [depth, certificate] of [...chain.entries()].reverse()) {
    call.err(`depth=${depth} ${nameLine(certificate.subject)}\nverify return:1\n`);
  }
}

function failureText(why: TlsFailure): string {
  switch (why.failure) {
    case "not-tls":
      return `${trace("0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl/record/ssl3_record.c:354:")}\n`;
    case "alert":
      return `${trace(`0A000${(1000 + why.alert).toString(16).toUpperCase()}:SSL routines:ssl3_read_bytes:tlsv1 alert ${alerts[why.alert] ?? why.alert}:../ssl/record/rec_layer_s3.c:1590:SSL alert number ${why.alert}`)}\n`;
    case "refused":
      return `${trace("0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/statem/statem_clnt.c:1889:")}\n`;
    case "closed":
      return `${trace("0A000126:SSL routines:ssl3_read_n:unexpected eof while reading:../ssl/record/rec_layer_s3.c:309:")}\n`;
  }
}

function verdict({ problems }: Session): { readonly code: number; readonly words: string } {
  const last = problems.at(-1);
  return last ? { code: last.code, words: verifyWords(last.code) } : { code: 0, words: "ok" };
}

function report(session: Session, whole: boolean): string {
  const { chain, protocol, read, written } = session;
  const [leaf] = chain;
  const { code, words } = verdict(session);
  const shown = chain.flatMap((one, at) => [
    ` ${at} s:${nameLine(one.subject)}`,
    `   i:${nameLine(one.issuer)}`,
    `   a:PKEY: rsaEncryption, ${one.bits} (bit); sigalg: RSA-${one.algorithm.replace(/With.*/, "").toUpperCase()}`,
    `   v:NotBefore: ${timeText(one.notBefore)}; NotAfter: ${timeText(one.notAfter)}`,
    ...(whole ? [one.pem.trimEnd()] : []),
  ]);
  const lines = [
    "---",
    "Certificate chain",
    ...shown,
    "---",
    "Server certificate",
    ...(whole || !leaf ? [] : [leaf.pem.trimEnd()]),
    `subject=${nameLine(leaf?.subject ?? [])}`,
    `issuer=${nameLine(leaf?.issuer ?? [])}`,
    "---",
    "No client certificate CA names sent",
    "Peer signing digest: SHA256",
    "Peer signature type: RSA-PSS",
    "Server Temp Key: X25519, 253 bits",
    "---",
    `SSL handshake has read ${read} bytes and written ${written + 6} bytes`,
    code === 0 ? "Verification: OK" : `Verification error: ${words}`,
    "---",
    "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384",
    `Server public key is ${leaf?.bits ?? 0} bit`,
    "Secure Renegotiation IS NOT supported",
    "Compression: NONE",
    "Expansion: NONE",
    protocol === undefined ? "No ALPN negotiated" : `ALPN protocol: ${protocol}`,
    "Early data was not sent",
    `Verify return code: ${code} (${words})`,
    "---",
  ];
  return `${lines.join("\n")}\n`;
}

function brief(session: Session): string {
  const { code, words } = verdict(session);
  const lines = [
    "CONNECTION ESTABLISHED",
    "Protocol version: TLSv1.3",
    "Ciphersuite: TLS_AES_256_GCM_SHA384",
    `Peer certificate: ${nameLine(session.chain[0]?.subject ?? [])}`,
    "Hash used: SHA256",
    "Signature type: RSA-PSS",
    code === 0 ? "Verification: OK" : `Verification error: ${words}`,
    "Server Temp Key: X25519, 253 bits",
  ];
  return `${lines.join("\n")}\n`;
}
