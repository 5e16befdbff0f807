/** Owns `kubebook kernel`: putting our kernel among a Jupyter's kernels, and taking it away. */
import { type Command, Option } from "commander";
import type { Place } from "../course/kernelspec";
import { CliError } from "./error";

interface PlaceOptions {
  readonly user?: boolean;
  readonly prefix?: string;
  readonly sysPrefix?: boolean;
}

/** Adds the verb. */
export function register(program: Command): void {
  const kernel = program.command("kernel").description("manage the Jupyter kernelspec of the course's kernel");
  withPlace(kernel.command("install"))
    .description("let JupyterLab, VS Code or nbclient find the kernel")
    .action(async (options: PlaceOptions) => {
      const { installSpec, kernelName } = await import("../course/kernelspec.js");
      const directory = worded(() => installSpec(placeOf(options)));
      console.log(`Installed kernelspec ${kernelName} in ${directory}`);
    });
  withPlace(kernel.command("uninstall"))
    .description("take the kernel away again")
    .action(async (options: PlaceOptions) => {
      const { kernelName, specDirectory, uninstallSpec } = await import("../course/kernelspec.js");
      const place = placeOf(options);
      const directory = worded(() => uninstallSpec(place));
      if (directory === undefined) {
        throw new CliError(
          `No kernelspec ${kernelName} to remove: ${worded(() => specDirectory(place))} does not exist`,
        );
      }
      console.log(`Removed kernelspec ${kernelName} from ${directory}`);
    });
  kernel
    .command("list")
    .description("show where the kernel is installed")
    .action(async () => {
      const { installedSpecs, kernelName } = await import("../course/kernelspec.js");
      const specs = installedSpecs();
      if (specs.length === 0) console.log(`No kernelspec ${kernelName} is installed`);
      for (const { directory, entry, state } of specs) {
        const note = {
          ours: "",
          other: `  (starts another install's kernel: ${entry})`,
          broken: `  (broken: ${entry || "kernel.json"})`,
        };
        console.log(`${kernelName}  ${directory}${note[state]}`);
      }
    });
}

function withPlace(command: Command): Command {
  const user = new Option("--user", "for this user (the default)").conflicts(["prefix", "sysPrefix"]);
  const prefix = new Option("--prefix <dir>", "below DIR/share/jupyter/kernels").conflicts(["user", "sysPrefix"]);
  const sysPrefix = new Option("--sys-prefix", "into the Python environment in use").conflicts(["user", "prefix"]);
  return command.addOption(user).addOption(prefix).addOption(sysPrefix);
}

function placeOf(options: PlaceOptions): Place {
  if (options.prefix !== undefined) return { kind: "prefix", directory: options.prefix };
  return options.sysPrefix ? { kind: "sys-prefix" } : { kind: "user" };
}

function worded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
