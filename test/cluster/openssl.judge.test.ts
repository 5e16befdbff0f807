import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { requireOrSkip } from "../judges";

/** Made by ours: an authority, a server's certificate with names, one without extensions, requests. Then looked at by both. */
const making = [
  `openssl req -x509 -nodes -days 365 -newkey rsa:2048 -keyout nginx.key -out nginx.crt -subj "/CN=my-nginx/O=my-nginx"`,
  `openssl req -x509 -noenc -days 3650 -newkey rsa:3072 -keyout ca.key -out ca.crt -subj "/C=DE/O=Grüße, AG/CN=CA" -addext keyUsage=critical,keyCertSign,cRLSign`,
  `openssl req -new -noenc -newkey rsa:2048 -keyout web.key -out web.csr -subj "/CN=web" -addext "subjectAltName=DNS:web,DNS:*.web.example,IP:10.0.0.1,IP:fd00::1" -addext extendedKeyUsage=serverAuth,clientAuth`,
  "openssl x509 -req -in web.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -copy_extensions copy -out web.crt",
  "openssl req -new -key web.key -out plain.csr -subj /CN=plain",
  "openssl x509 -req -in plain.csr -CA ca.crt -CAkey ca.key -set_serial 255 -days 30 -out plain.crt",
  "openssl genrsa -out other.key 2048",
];
const made = [
  "nginx.key",
  "nginx.crt",
  "ca.key",
  "ca.crt",
  "web.key",
  "web.csr",
  "web.crt",
  "plain.csr",
  "plain.crt",
  "other.key",
];

/** Both must print the same, and end alike. Times that have to do with "now" are given: the clocks differ. */
const looking = [
  ...["nginx.crt", "ca.crt", "web.crt", "plain.crt"].flatMap((file) => [
    `openssl x509 -noout -text -in ${file}`,
    `openssl x509 -noout -subject -issuer -dates -serial -fingerprint -in ${file}`,
    `openssl x509 -noout -fingerprint -sha256 -in ${file}`,
    `openssl x509 -noout -ext subjectAltName,basicConstraints,keyUsage -in ${file}`,
    `openssl x509 -noout -pubkey -modulus -in ${file}`,
    `openssl x509 -in ${file}`,
  ]),
  ...["web.csr", "plain.csr"].flatMap((file) => [
    `openssl req -noout -text -in ${file}`,
    `openssl req -noout -subject -verify -in ${file}`,
  ]),
  "openssl rsa -noout -check -modulus -in nginx.key",
  "openssl rsa -in other.key -pubout",
  "openssl rsa -in other.key -traditional",
  "openssl verify -CAfile ca.crt -attime 1767300000 web.crt",
  "openssl verify -CAfile ca.crt -attime 1767300000 -verify_hostname a.web.example web.crt",
  "openssl verify -CAfile ca.crt -attime 1767300000 -verify_hostname example.org web.crt",
  "openssl verify -CAfile ca.crt -attime 1000000000 web.crt",
  "openssl verify -CAfile ca.crt -attime 2100000000 web.crt",
  "openssl verify -CAfile nginx.crt -attime 1767300000 nginx.crt",
  "openssl verify -attime 1767300000 nginx.crt",
  "openssl verify -attime 1767300000 web.crt",
  "openssl verify -attime 1767300000 -untrusted ca.crt web.crt",
  "openssl verify -attime 1767300000 -CAfile web.crt web.crt",
  "openssl verify -attime 1767300000 -partial_chain -CAfile web.crt web.crt",
  "openssl x509 -noout -text -in nginx.key",
  "openssl x509 -noout -text -in nowhere",
  "openssl x509 -req -in web.csr -CA ca.crt -CAkey other.key -out x.crt",
  "openssl req -x509 -key other.key -out x.crt -subj CN=x",
  "openssl req -x509 -key other.key -out x.crt -subj /CN=x -days many",
  "openssl nonsense",
  "openssl md5 web.csr",
  "openssl sha256 web.csr",
  "openssl dgst -sha512 web.csr",
];

/** What differs from call to call: the thread's number, and lines of source that OpenSSL adds to an error. */
function comparable(text: string): string {
  return text
    .split("\n")
    .filter((line) => !/^[0-9A-F]{16}:error:/.test(line))
    .join("\n");
}

test("certificates and keys are read alike by the real openssl, and it says the same of them", async (context) => {
  const probe = spawnSync("openssl", ["version"], { encoding: "utf8" });
  requireOrSkip(context, probe.stdout?.startsWith("OpenSSL 3.0.") === true, "no openssl 3.0 here");
  const cluster = new Cluster({ seed: 5 });
  await cluster.start();
  const session = cluster.session();
  const type = async (line: string): Promise<{ text: string; exitCode: number }> => {
    let text = "";
    const exitCode = await session.type(line, (_stream, part) => {
      text += part;
    });
    return { text, exitCode };
  };
  for (const line of making) expect(await type(line), line).toMatchObject({ exitCode: 0 });
  const folder = mkdtempSync(join(tmpdir(), "kubebook-openssl-"));
  try {
    for (const file of made) writeFileSync(join(folder, file), (await type(`cat ${file}`)).text);
    for (const line of looking) {
      const real = spawnSync("sh", ["-c", `${line} 2>&1`], {
        cwd: folder,
        encoding: "utf8",
        env: { PATH: process.env.PATH, SSL_CERT_FILE: "/dev/null" },
      });
      const ours = await type(line);
      expect.soft(comparable(ours.text), line).toBe(comparable(real.stdout));
      expect.soft(ours.exitCode, line).toBe(real.status);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
