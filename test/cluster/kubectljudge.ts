/** Owns the comparison of our kubectl with a real one: two equal clusters, the same lines typed at both. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";
import { second } from "../../kernel-lib/sim/clock";
import { serve } from "./kubectlserver";

export interface Printed {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** Two clusters with one seed, one at our kubectl, the other at the real one. */
export interface Duel {
  ours(line: string): Promise<Printed>;
  theirs(line: string): Promise<Printed>;
  close(): Promise<void>;
}

/** The real kubectl's version; undefined without one. */
export function kubectlVersion(): string | undefined {
  const { stdout } = spawnSync("kubectl", ["version", "--client"], {
    env: { PATH: process.env.PATH ?? "", HOME: tmpdir() },
    encoding: "utf8",
  });
  return /v(1\.\d+)/.exec(stdout ?? "")?.[1];
}

/** @param files written on the workstation of both */
export async function duel(options: ClusterOptions, files: Readonly<Record<string, string>> = {}): Promise<Duel> {
  const [mine, other] = [new Cluster(options), new Cluster(options)];
  await mine.start();
  await other.start();
  const folder = mkdtempSync(join(tmpdir(), "kubectl-"));
  const server = await serve(other);
  for (const [name, text] of Object.entries(files)) {
    mine.prompt.files.write(`${mine.prompt.folder}/${name}`, text);
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, "config"), kubeconfig(server.url));
  const session = mine.session();
  return {
    async ours(line) {
      const printed = { stdout: "", stderr: "" };
      const status = await session.type(line, (stream, text) => {
        printed[stream] += text;
      });
      return { ...printed, status };
    },
    async theirs(line) {
      await other.advance("50ms");
      const printed = await run(line, folder);
      await other.advance((second - (other.now % second)) / second);
      return printed;
    },
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function run(line: string, folder: string): Promise<Printed> {
  const env = { PATH: process.env.PATH ?? "", HOME: folder, KUBECONFIG: join(folder, "config"), TZ: "UTC" };
  return new Promise((done) => {
    const child = spawn("bash", ["-c", line], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    const printed = { stdout: "", stderr: "" };
    child.stdout.on("data", (part) => {
      printed.stdout += String(part);
    });
    child.stderr.on("data", (part) => {
      printed.stderr += String(part);
    });
    child.on("close", (code) => done({ ...printed, status: code ?? 1 }));
  });
}

function kubeconfig(server: string): string {
  return `apiVersion: v1
kind: Config
clusters: [{name: kubernetes, cluster: {server: "${server}"}}]
contexts: [{name: kubernetes-admin@kubernetes, context: {cluster: kubernetes, user: kubernetes-admin}}]
current-context: kubernetes-admin@kubernetes
users: [{name: kubernetes-admin, user: {}}]
`;
}
