/** Owns openssl's small commands about keys and octets: `genrsa`, `rsa`, `pkey`, `rand`, digests. */

import { md5, sha1 } from "@noble/hashes/legacy";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import { binaryOf } from "../../../apps/octets";
import { generateKey, readPrivateKey } from "../../../apps/tls/keys";
import { hexDigits } from "../../../sim/random";
import { type Call, Failed } from "../../shell/tool";
import { bitsOf } from "./req";
import { Options, readInput, unreadable, usage, write } from "./words";

export function genrsa(call: Call, args: readonly string[]): number {
  const options = new Options("genrsa", args, ["out:", "traditional"]);
  const key = generateKey(call.shell.random, bitsOf(`rsa:${options.words[0] ?? "2048"}`));
  write(call, options.text("out"), options.has("traditional") ? key.traditionalPem : key.pem, 0o600);
  return 0;
}

export function genpkey(call: Call, args: readonly string[]): number {
  const options = new Options("genpkey", args, ["out:", "algorithm:", "pkeyopt:", "quiet"]);
  const algorithm = options.text("algorithm") ?? "";
  if (algorithm.toUpperCase() !== "RSA") {
    throw new Failed(`genpkey: keys of the kind "${algorithm}" cannot be made here: only RSA's (-algorithm RSA)`);
  }
  const bits = options.all("pkeyopt").map((text) => /^rsa_keygen_bits:(\d+)$/.exec(text)?.[1])[0] ?? "2048";
  write(call, options.text("out"), generateKey(call.shell.random, bitsOf(`rsa:${bits}`)).pem, 0o600);
  return 0;
}

/** `openssl rsa` and `openssl pkey`: what is in a key. */
export function pkey(call: Call, args: readonly string[]): number {
  const command = call.args[0] ?? "pkey";
  const options = new Options(command, args, [
    "in:",
    "out:",
    "noout",
    "check",
    "modulus",
    "pubout",
    "traditional",
    "text",
  ]);
  const path = options.text("in");
  const what = command === "rsa" ? "private key" : "key";
  const key = readPrivateKey(readInput(call, path, what));
  if (!key) throw unreadable(what, path);
  if (options.has("text"))
    throw new Failed(`${command}: -text would show the whole key; -modulus shows what is public of it`);
  if (options.has("modulus")) call.out(`Modulus=${key.modulus.toUpperCase()}\n`);
  // Whoever could be read is whole: the parts of a key were checked against each other then.
  if (options.has("check"))
    (command === "rsa" ? call.out : call.err)(command === "rsa" ? "RSA key ok\n" : "Key is valid\n");
  if (options.has("noout")) return 0;
  if (command === "rsa") call.err("writing RSA key\n");
  write(
    call,
    options.text("out"),
    options.has("pubout") ? key.publicPem : options.has("traditional") ? key.traditionalPem : key.pem,
  );
  return 0;
}

export function rand(call: Call, args: readonly string[]): number {
  const options = new Options("rand", args, ["hex", "base64", "out:"]);
  const count = Number(options.words[0]);
  if (!Number.isInteger(count) || count < 0) throw usage("rand", `Can't parse "${options.words[0] ?? ""}" as a number`);
  const hex = hexDigits(call.shell.random, 2 * count);
  const octets = hex.replace(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16)));
  if (options.has("hex")) write(call, options.text("out"), `${hex}\n`);
  else if (options.has("base64")) write(call, options.text("out"), `${btoa(octets).replace(/.{64}(?=.)/g, "$&\n")}\n`);
  else throw new Failed("rand: octets that are no text cannot be printed here: add -hex or -base64");
  return 0;
}

const hashes = { md5, sha1, sha256, sha384, sha512 };

export function digest(call: Call, args: readonly string[], named?: string): number {
  const options = new Options(named ?? "dgst", args, [...Object.keys(hashes), "r", "hex"]);
  const name = (named ?? Object.keys(hashes).find((each) => options.has(each)) ?? "sha256") as keyof typeof hashes;
  const inputs = options.words.length > 0 ? options.words : [undefined];
  for (const path of inputs) {
    const octets = Uint8Array.from(binaryOf(readInput(call, path, "file")), (octet) => octet.charCodeAt(0));
    const title = name === "md5" || name === "sha1" ? name.toUpperCase() : `SHA2-${name.slice(3)}`;
    call.out(`${title}(${path ?? "stdin"})= ${bytesToHex(hashes[name](octets))}\n`);
  }
  return 0;
}
