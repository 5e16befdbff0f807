/** Owns who serves a work folder: one server at a time, known to the next one that would. */
import { link, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { writeWhole } from "./atomic";
import { isObject } from "./http";

/** What a server says of itself, for its user only (mode 0600): the address holds the token. */
export interface Runtime {
  readonly pid: number;
  /** Once it serves. */
  readonly url?: string;
}

/** How long a server may take until it serves: the first start puts the front end together. Milliseconds. */
const startingAtMost = 10 * 60_000;

/**
 * Takes the place of the one server, unless somebody has it.
 * @returns the other one, which serves or is about to; `null` when the place is ours
 */
export async function claim(file: string): Promise<Runtime | null> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const own = `${file}.${process.pid}`;
  await writeWhole(own, JSON.stringify({ pid: process.pid }), 0o600);
  try {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      try {
        await link(own, file);
        return null;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      }
      const other = await read(file);
      if (other !== null && (await serves(file, other))) return other;
      await removeStale(file, other);
    }
    throw new Error(`${file} cannot be taken`);
  } finally {
    await rm(own, { force: true });
  }
}

/** Says where we serve. */
export async function announce(file: string, url: string): Promise<void> {
  await writeWhole(file, JSON.stringify({ pid: process.pid, url }), 0o600);
}

/** Gives the place free, if it is still ours. */
export async function release(file: string): Promise<void> {
  if ((await read(file))?.pid === process.pid) await rm(file, { force: true });
}

/** The other server once it serves; `null` when it ends before. */
export async function untilServing(file: string): Promise<Runtime | null> {
  const until = Date.now() + startingAtMost;
  for (;;) {
    const other = await read(file);
    if (other === null || !isAlive(other.pid) || Date.now() > until) return null;
    if (other.url !== undefined) return other;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Takes the mark of a server that is gone away, unless another start has just put its own in the same place. */
async function removeStale(file: string, stale: Runtime | null): Promise<void> {
  const aside = `${file}.${process.pid}.stale`;
  await rename(file, aside).catch(() => {});
  const taken = await read(aside);
  if (taken !== null && taken.pid !== stale?.pid) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function read(file: string): Promise<Runtime | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    if (!isObject(value) || typeof value.pid !== "number") return null;
    return typeof value.url === "string" ? { pid: value.pid, url: value.url } : { pid: value.pid };
  } catch {
    return null;
  }
}

/** Whether it is really there: its number may be another program's by now, so its server is asked. */
async function serves(file: string, { pid, url }: Runtime): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (url === undefined) return Date.now() - ((await stat(file).catch(() => null))?.mtimeMs ?? 0) < startingAtMost;
  try {
    const { origin, searchParams } = new URL(url);
    const headers = { Authorization: `token ${searchParams.get("token") ?? ""}` };
    const answer = await fetch(`${origin}/api/status`, { headers, signal: AbortSignal.timeout(3000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
