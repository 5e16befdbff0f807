/** Owns the kernelspec: how any Jupyter front end finds our kernel, and where that is written on each platform. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { kernelCommand, kernelEntry } from "./kernelspawn";
import { logoPng, logoSvg } from "./logo";

/** The kernel's name among a Jupyter's kernels; also the name of its folder. */
export const kernelName = "kubebook";

/** What a kernel.json holds (Jupyter client, "Kernel specs"). */
export interface KernelSpec {
  readonly argv: readonly string[];
  readonly display_name: string;
  readonly language: string;
  readonly interrupt_mode: "message" | "signal";
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Where a kernelspec goes: to this user, below a folder, or into the Python environment that is in use. */
export type Place =
  | { readonly kind: "user" }
  | { readonly kind: "prefix"; readonly directory: string }
  | { readonly kind: "sys-prefix" };

/** Our kernelspec; `command` is for tests. */
export function kernelSpec(command: readonly string[] = kernelCommand()): KernelSpec {
  return {
    argv: command,
    display_name: "TypeScript (kubebook)",
    language: "typescript",
    interrupt_mode: "message",
    metadata: { debugger: false },
  };
}

/** The folder that our kernelspec has in a place. Throws an Error when there is no such place. */
export function specDirectory(place: Place): string {
  const data =
    place.kind === "user"
      ? userDataDirectory()
      : join(place.kind === "prefix" ? place.directory : pythonPrefix(), "share", "jupyter");
  return join(data, "kernels", kernelName);
}

/** Writes our kernelspec; one that is there is replaced. Returns its folder. */
export function installSpec(place: Place): string {
  const spec = kernelSpec();
  const entry = kernelEntry();
  if (!existsSync(entry)) throw new Error(`the kernel is not built: ${entry} is missing`);
  const directory = specDirectory(place);
  attempt(`cannot write the kernelspec to ${directory}`, () => {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "kernel.json"), `${JSON.stringify(spec, null, 2)}\n`);
    writeFileSync(join(directory, "logo-svg.svg"), logoSvg());
    for (const pixels of [32, 64]) writeFileSync(join(directory, `logo-${pixels}x${pixels}.png`), logoPng(pixels));
  });
  return directory;
}

/** Removes our kernelspec from a place. Returns its folder, or nothing where there was none. */
export function uninstallSpec(place: Place): string | undefined {
  const directory = specDirectory(place);
  if (!existsSync(directory)) return undefined;
  attempt(`cannot remove ${directory}`, () => rmSync(directory, { recursive: true }));
  return directory;
}

/** A kernelspec of ours that was found. */
export interface InstalledSpec {
  readonly directory: string;
  /** The kernel's entry that it starts. */
  readonly entry: string;
  /** "ours" starts this install's kernel, "other" another's, "broken" one that is no longer there. */
  readonly state: "ours" | "other" | "broken";
}

/** All kernelspecs of our name in the folders that Jupyter searches, in its order. */
export function installedSpecs(): InstalledSpec[] {
  const directories = dataDirectories().map((data) => join(data, "kernels", kernelName));
  return [...new Set(directories)].filter((directory) => existsSync(join(directory, "kernel.json"))).map(read);
}

function read(directory: string): InstalledSpec {
  let entry = "";
  try {
    const spec = JSON.parse(readFileSync(join(directory, "kernel.json"), "utf8")) as Partial<KernelSpec>;
    entry = spec.argv?.find((part) => part.endsWith(".js")) ?? "";
  } catch {
    return { directory, entry, state: "broken" };
  }
  const state = entry === kernelEntry() ? "ours" : "other";
  return { directory, entry, state: existsSync(entry) ? state : "broken" };
}

/** Jupyter's data folders, in the order that it searches them (jupyter_core, "paths"). */
function dataDirectories(): string[] {
  const environment = process.env;
  const prefix = environment.VIRTUAL_ENV ?? environment.CONDA_PREFIX;
  const system =
    process.platform === "win32"
      ? [join(environment.PROGRAMDATA ?? "C:\\ProgramData", "jupyter")]
      : ["/usr/local/share/jupyter", "/usr/share/jupyter"];
  return [
    ...(environment.JUPYTER_PATH ?? "").split(delimiter).filter((path) => path !== ""),
    userDataDirectory(),
    ...(prefix ? [join(prefix, "share", "jupyter")] : []),
    ...system,
  ];
}

function userDataDirectory(): string {
  const { JUPYTER_DATA_DIR, XDG_DATA_HOME, APPDATA } = process.env;
  if (JUPYTER_DATA_DIR) return JUPYTER_DATA_DIR;
  if (process.platform === "darwin") return join(homedir(), "Library", "Jupyter");
  if (process.platform === "win32") return join(APPDATA ?? join(homedir(), "AppData", "Roaming"), "jupyter");
  return join(XDG_DATA_HOME || join(homedir(), ".local", "share"), "jupyter");
}

/** The prefix of the Python environment in use: an activated one, else what the Python on the path says. */
function pythonPrefix(): string {
  const active = process.env.VIRTUAL_ENV || process.env.CONDA_PREFIX;
  if (active) return active;
  for (const python of process.platform === "win32" ? ["python", "py"] : ["python3", "python"]) {
    const { status, stdout } = spawnSync(python, ["-c", "import sys; print(sys.prefix)"], { encoding: "utf8" });
    if (status === 0 && stdout.trim() !== "") return stdout.trim();
  }
  throw new Error("--sys-prefix needs a Python: none is active (VIRTUAL_ENV, CONDA_PREFIX) and none is on the path");
}

function attempt(what: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === "EACCES" || code === "EPERM"
        ? "permission denied"
        : code === "EROFS"
          ? "read-only file system"
          : message;
    throw new Error(`${what}: ${reason}`);
  }
}
