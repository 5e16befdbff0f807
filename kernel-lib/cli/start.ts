/** Owns `kubebook start`: the course in the browser. */
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { RunningServer } from "../course/server";
import { CliError } from "./error";
import { findRoot } from "./root";

interface StartFlags {
  readonly port?: number;
  /** False with `--no-open`. */
  readonly open: boolean;
  readonly chapter?: string;
  readonly work?: string;
}

const defaultPort = 8888;
/** How many ports after the default one are tried, as Jupyter does. */
const retries = 50;

export function register(program: Command): void {
  program
    .command("start")
    .description("open the course in JupyterLab")
    .option("--port <number>", `port to serve on (default: ${defaultPort}, or the next one that is free)`, portNumber)
    .option("--no-open", "do not open a browser")
    .option("--work <folder>", "the folder of your own copies (default: work)")
    .option("--chapter <name>", "open this chapter (default: the first one that is not done)")
    .action(start);
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return port;
}

async function start(flags: StartFlags): Promise<void> {
  const root = findRoot();
  const workDirectory = flags.work === undefined ? join(root, "work") : resolve(flags.work);
  const chapter = flags.chapter === undefined ? undefined : await chapterName(root, flags.chapter);
  const { claim, announce, release, untilServing } = await import("../course/server/runtimefile.js");
  const { stateDirectory } = await import("../course/server/index.js");
  const runtimeFile = join(stateDirectory(workDirectory), "server.json");
  const other = await claim(runtimeFile);
  if (other !== null) {
    if (other.url === undefined) say("Another kubebook start is at work in this folder; waiting for it …");
    const serving = other.url === undefined ? await untilServing(runtimeFile) : other;
    if (serving?.url === undefined) return start(flags);
    say(`kubebook is already running in this folder (process ${serving.pid}):`);
    show(await askForChapter(serving.url, chapter), flags.open, workDirectory);
    return;
  }
  try {
    const server = await startOnFreePort(root, workDirectory, flags.port);
    endWith(server, () => release(runtimeFile));
    const url = await firstPage(server, chapter).catch(async (error: unknown) => {
      await server.stop();
      throw new CliError(error instanceof Error ? error.message : String(error));
    });
    await announce(runtimeFile, url);
    say("kubebook is running; Ctrl-C ends it:");
    show(url, flags.open, workDirectory);
  } catch (error) {
    await release(runtimeFile);
    throw error;
  }
}

/** @throws CliError in Jupyter's words where a port that was asked for is taken */
async function startOnFreePort(root: string, workDirectory: string, asked: number | undefined): Promise<RunningServer> {
  const { bundleLab } = await import("./bundle.js");
  const { directory: assets } = await bundleLab(root, say);
  const { startServer } = await import("../course/server/index.js");
  const options = { workDirectory, notebooksDirectory: join(root, "notebooks"), assets, log: say };
  for (let port = asked ?? defaultPort; ; port += 1) {
    try {
      return await startServer({ ...options, port });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      const reason = code === "EADDRINUSE" ? "is already in use" : code === "EACCES" ? "may not be used" : undefined;
      if (reason === undefined) throw error;
      if (asked !== undefined || port >= defaultPort + retries) {
        throw new CliError(`The server could not be started because port ${port} is not available: it ${reason}.`);
      }
      say(`The port ${port} ${reason}, trying another port.`);
    }
  }
}

/** The name of the chapter that was asked for, by number, name or file. @throws CliError that lists the chapters */
async function chapterName(root: string, wanted: string): Promise<string | undefined> {
  const { listChapters } = await import("../course/files.js");
  const { selectChapters } = await import("../course/select.js");
  try {
    return selectChapters(await listChapters(root), [wanted])[0]?.name;
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** The address of the chapter to open, the first one that is not done unless it is named; its copy is made if need be. */
async function firstPage(server: RunningServer, wanted: string | undefined): Promise<string> {
  const chapters = await server.work.chapters();
  const name = wanted ?? (chapters.find(({ state }) => state !== "done") ?? chapters[0])?.name;
  if (name === undefined) return server.url;
  const path = await server.work.open(name);
  return server.url.replace("/lab?", `/lab/tree/${encodeURIComponent(path)}?`);
}

/** The address of a chapter on a server that runs already. @throws CliError in that server's words */
async function askForChapter(url: string, name: string | undefined): Promise<string> {
  if (name === undefined) return url;
  const { origin, searchParams } = new URL(url);
  const token = searchParams.get("token") ?? "";
  const headers = { Authorization: `token ${token}` };
  const reply = await fetch(`${origin}/kubebook/api/chapters/${encodeURIComponent(name)}/open`, {
    method: "POST",
    headers,
  });
  const said = (await reply.json()) as { readonly path?: string; readonly message?: string };
  if (said.path === undefined) throw new CliError(said.message ?? `the chapter ${name} could not be opened`);
  return `${origin}/lab/tree/${encodeURIComponent(said.path)}?token=${token}`;
}

/** Ctrl-C, a closed terminal or `kill` end the kernels first; a second time, everything at once. */
function endWith(server: RunningServer, release: () => Promise<void>): void {
  let ending = false;
  // One broken connection must not take everybody's kernels along.
  process.on("unhandledRejection", (error) =>
    say(error instanceof Error ? (error.stack ?? error.message) : String(error)),
  );
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (ending) process.exit(1);
      ending = true;
      say("Ending the kernels …");
      void server
        .stop()
        .catch((error: unknown) => say(String(error)))
        .then(release)
        .finally(() => process.exit(0));
    });
  }
}

/** The one line with the address on standard output; everything else goes to standard error. */
function show(url: string, open: boolean, workDirectory: string): void {
  process.stdout.write(`${url}\n`);
  if (open) openBrowser(openingPage(url, join(workDirectory, ".kubebook", "open.html")));
}

/**
 * Writes the page that the browser opens first. It leads to the address, so that the token is not among the browser's
 * arguments, which every user of the machine can list (Jupyter Server's `use_redirect_file`).
 */
function openingPage(url: string, file: string): string {
  const address = url.replaceAll("&", "&amp;");
  rmSync(file, { force: true });
  const page = `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${address}">`;
  writeFileSync(file, `${page}<title>kubebook</title><a href="${address}">kubebook</a>\n`, { mode: 0o600 });
  return file;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Asks the system to open a page. A machine without a browser is no failure: the address is printed. */
function openBrowser(file: string): void {
  const [command, args]: [string, string[]] =
    process.platform === "darwin"
      ? ["open", [file]]
      : process.platform === "win32"
        ? ["rundll32", ["url.dll,FileProtocolHandler", file]]
        : ["xdg-open", [file]];
  const browser = spawn(command, args, { stdio: "ignore", detached: true });
  browser.on("error", () => say("No browser could be opened; open the address above yourself."));
  browser.unref();
}
