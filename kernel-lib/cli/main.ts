/** Owns the command `kubebook`: its verbs, and how an error leaves it. */
import { Command } from "commander";
import { register as registerBuild } from "./build";
import { register as registerCheck } from "./check";
import { CliError } from "./error";
import { register as registerFlows } from "./flows";
import { register as registerKernel } from "./kernel";
import { register as registerNew } from "./new";
import { register as registerRun } from "./run";
import { register as registerShell } from "./shell";
import { register as registerStart } from "./start";
import { register as registerTrace } from "./trace";

const program = new Command("kubebook")
  .description("A course on Kubernetes networking that runs.")
  .version("0.1.0")
  .showHelpAfterError("(kubebook --help lists the commands)");

const verbs = [
  ...[registerStart, registerBuild, registerRun, registerCheck, registerNew, registerKernel, registerShell],
  ...[registerFlows, registerTrace],
];
for (const register of verbs) register(program);

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CliError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  }
});
