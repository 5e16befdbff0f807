import { type ChildProcess, spawn, spawnSync } from "node:child_process";
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

/** The real s_server with a certificate of ours, on a port of the loopback's that it chooses itself. */
async function serve(folder: string): Promise<{ readonly server: ChildProcess; readonly port: string }> {
  const args = ["s_server", "-accept", "127.0.0.1:0", "-cert", "web.crt", "-key", "web.key", "-www"];
  const server = spawn("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  return new Promise((resolve, reject) => {
    let said = "";
    server.on("exit", () => reject(new Error(`s_server ended: ${said}`)));
    server.stdout?.on("data", (part) => {
      said += part;
      const port = /^ACCEPT 127\.0\.0\.1:(\d+)/m.exec(said)?.[1];
      if (port !== undefined) resolve({ server, port });
    });
  });
}

test("the real curl believes our certificates, or refuses them in our curl's words", async (context) => {
  requireOrSkip(context, spawnSync("curl", ["--version"]).status === 0, "no curl here");
  requireOrSkip(context, spawnSync("openssl", ["version"]).status === 0, "no openssl here");
  const cluster = new Cluster({ seed: 6 });
  await cluster.start();
  const session = cluster.session();
  const type = async (line: string): Promise<string> => {
    let text = "";
    await session.type(line, (_stream, part) => {
      text += part;
    });
    return text;
  };
  // For a hundred years: the real clock is another.
  const lasting = "-days 36500";
  await type(`openssl req -x509 -nodes ${lasting} -newkey rsa:2048 -keyout ca.key -out ca.crt -subj /CN=CA`);
  await type(
    "openssl req -new -nodes -newkey rsa:2048 -keyout web.key -out web.csr -subj /CN=web -addext subjectAltName=DNS:web,DNS:*.web.example",
  );
  await type(`openssl x509 -req -in web.csr -CA ca.crt -CAkey ca.key ${lasting} -copy_extensions copy -out web.crt`);
  await type(`openssl req -x509 -nodes ${lasting} -newkey rsa:2048 -keyout other.key -out other.crt -subj /CN=other`);
  // Ours: the same certificate in a pod on a node's own network.
  await type(
    "printf 'server { listen 443 ssl; ssl_certificate /ssl/tls.crt; ssl_certificate_key /ssl/tls.key; }' > default.conf",
  );
  await type(
    "kubectl create secret tls web --cert web.crt --key web.key; kubectl create configmap web --from-file=default.conf",
  );
  const volumes = '[{"name":"conf","configMap":{"name":"web"}},{"name":"ssl","secret":{"secretName":"web"}}]';
  const mounts = '[{"name":"conf","mountPath":"/etc/nginx/conf.d"},{"name":"ssl","mountPath":"/ssl"}]';
  const container = `{"name":"web","image":"nginx","volumeMounts":${mounts}}`;
  const spec = `{"nodeName":"node-1","hostNetwork":true,"containers":[${container}],"volumes":${volumes}}`;
  await type(
    `kubectl run web --image=nginx --overrides='{"spec":${spec}}'; kubectl wait --for=condition=Ready pod/web`,
  );
  const folder = mkdtempSync(join(tmpdir(), "kubebook-curl-"));
  let server: ChildProcess | undefined;
  try {
    for (const file of ["ca.crt", "web.crt", "web.key", "other.crt"])
      writeFileSync(join(folder, file), await type(`cat ${file}`));
    const started = await serve(folder);
    server = started.server;
    const verdicts: string[] = [];
    for (const [name, trust] of [
      ["web", "ca.crt"],
      ["a.web.example", "ca.crt"],
      ["web", "web.crt"],
      ["a.b.web.example", "ca.crt"],
      ["WEB", "ca.crt"],
      ["web.example", "ca.crt"],
      ["web", "other.crt"],
    ] as const) {
      const line = (to: string): string =>
        `curl -sS -o /dev/null --cacert ${trust} --connect-to ::${to} https://${name}; echo "exit $?"`;
      const first = (text: string): string =>
        text.replace(/\nMore details[\s\S]*(?=exit)/, "\n").replace(/^.*?(?=curl: |exit)/s, "");
      const expected = first(
        spawnSync("sh", ["-c", `{ ${line(`127.0.0.1:${started.port}`)}; } 2>&1`], { cwd: folder, encoding: "utf8" })
          .stdout,
      );
      expect.soft(first(await type(line("192.168.1.11:443"))), `${name} ${trust}`).toBe(expected);
      verdicts.push(/exit (\d+)/.exec(expected)?.[1] ?? "");
    }
    expect(verdicts).toEqual(["0", "0", "0", "60", "0", "60", "60"]);
  } finally {
    server?.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
