/** Owns `openssl verify`: whether a certificate is to be believed. */
import { type Certificate, readCertificates } from "../../../apps/tls/certificate";
import { nameLine } from "../../../apps/tls/names";
import { matchName, type VerifyCode, verifyChain } from "../../../apps/tls/verify";
import { second } from "../../../sim/clock";
import { resolvePath } from "../../shell/filesystem";
import { type Call, Failed } from "../../shell/tool";
import { Options, readInput, trace, unreadable } from "./words";

const rules = [
  ...["CAfile:", "untrusted:", "attime:", "verify_hostname:", "verify_ip:", "purpose:", "CApath:"],
  ...["partial_chain", "verbose", "show_chain", "no_check_time", "x509_strict", "no-CAfile", "no-CApath"],
];

/** What openssl's own tools tell and go on after; anything else ends the checking. */
const passable: readonly VerifyCode[] = [10, 18, 25, 79];

/** The store of a machine, if it has one. */
export const machineStore = "/etc/ssl/certs/ca-certificates.crt";

/** All that is trusted: a file of certificates, and what the machine trusts. @throws Failed in openssl's words */
export function trustedBy(call: Call, path: string | undefined): readonly Certificate[] {
  const machine = call.place.files.read(machineStore) ?? "";
  if (path === undefined) return whole(readCertificates(machine));
  const text = call.place.files.read(resolvePath(call.folder, path));
  if (text === undefined) {
    throw new Failed(
      `Error loading file ${path}\n${trace(`80000002:system library:BIO_new_file:No such file or directory:../crypto/bio/bss_file.c:67:calling fopen(${path}, r)`)}`,
    );
  }
  const found = whole(readCertificates(text));
  if (found.length === 0) throw new Failed(`Error loading file ${path}`);
  return [...found, ...whole(readCertificates(machine))];
}

function whole(found: readonly (Certificate | undefined)[]): readonly Certificate[] {
  return found.filter((one): one is Certificate => one !== undefined);
}

export function verify(call: Call, args: readonly string[]): number {
  const options = new Options("verify", args, rules);
  const trusted = trustedBy(call, options.text("CAfile"));
  const untrusted = options.all("untrusted").flatMap((path) => {
    return whole(readCertificates(readInput(call, path, "untrusted certificates")));
  });
  const time = options.text("attime");
  const now = time === undefined ? call.cluster.sim.clock.now : Number(time) * second;
  let failures = 0;
  for (const path of options.words.length > 0 ? options.words : [undefined]) {
    const [leaf] = readCertificates(readInput(call, path, "certificate file"));
    if (!leaf) throw unreadable("certificate file", path);
    const { chain, problems } = verifyChain(leaf, { trusted, untrusted, now, partial: options.has("partial_chain") });
    const host = options.text("verify_hostname") ?? options.text("verify_ip");
    const named = host === undefined || matchName(leaf, host).by !== "none";
    const all = [
      ...(named ? [] : [{ code: 62, depth: 0, certificate: leaf, words: "hostname mismatch" } as const]),
      ...problems,
    ];
    for (const { code, words, depth, certificate } of all) {
      call.err(`${nameLine(certificate.subject)}\nerror ${code} at ${depth} depth lookup: ${words}\n`);
      if (!passable.includes(code)) break;
    }
    if (all.length > 0) {
      call.err(`error ${path ?? "stdin"}: verification failed\n`);
      failures++;
      continue;
    }
    call.out(`${path ?? "stdin"}: OK\n`);
    if (options.has("show_chain")) {
      const lines = chain.map((one, depth) => {
        const shown = depth === 0 ? " (untrusted)" : "";
        return `depth=${depth}: ${nameLine(one.subject)}${shown}`;
      });
      call.out(`Chain:\n${lines.join("\n")}\n`);
    }
  }
  return failures > 0 ? 2 : 0;
}
