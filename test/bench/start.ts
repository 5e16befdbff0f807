/** Owns what the whole weighs and how soon it is usable: the install's size, and a start with the front end already made. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Measurement } from "./main";

const root = resolve(process.cwd());

/** Seconds until `kubebook start` prints its address, and megabytes of node_modules. */
export async function benchStart(): Promise<readonly Measurement[]> {
  await untilServing(); // makes what is missing
  const seconds = await untilServing();
  const kilobytes = Number(
    execFileSync("du", ["-sk", join(root, "node_modules")], { encoding: "utf8" }).split("\t")[0],
  );
  return [
    { name: "a later start, until the address is printed", value: seconds, unit: "s", aim: "< 5 until usable" },
    { name: "node_modules", value: kilobytes / 1024, unit: "MiB" },
  ];
}

async function untilServing(): Promise<number> {
  const work = mkdtempSync(join(tmpdir(), "kubebook-bench-"));
  const begin = performance.now();
  const options = ["start", "--no-open", "--port", "0", "--work", work];
  const child = spawn(process.execPath, [join(root, "kernel-lib", "cli", "kubebook.js"), ...options]);
  try {
    await new Promise<void>((ready, reject) => {
      child.stdout.on("data", (text) => String(text).includes("token=") && ready());
      child.on("close", (code) => reject(new Error(`kubebook start ended with ${code}`)));
    });
    return (performance.now() - begin) / 1000;
  } finally {
    child.removeAllListeners("close");
    const ended = new Promise((done) => child.once("close", done));
    child.kill("SIGINT");
    await ended;
    rmSync(work, { recursive: true, force: true });
  }
}
