/** Owns the programs of a node's own pods. What kube-proxy and flanneld do is done by node/: their pods only live. */
import type { App } from "./app";

/** Lives until it is asked to end. */
export const daemon: App = (program) => {
  program.onSignal("SIGTERM", () => program.exit(0));
};

/** `cp -f SOURCE TARGET`: how flannel's pods install their plugin. */
export const cp: App = (program) => {
  const [source = "", target = ""] = program.argv.slice(1).filter((word) => !word.startsWith("-"));
  const text = program.files.read(source);
  if (text === undefined) program.write(`cp: can't stat '${source}': No such file or directory\n`, "stderr");
  else program.files.write(target, text);
  program.own({ close: () => ended.cancel() });
  const ended = program.clock.after(0, () => program.exit(text === undefined ? 1 : 0));
};

/** Has done its work as soon as it runs: an init container whose work is done by node/. */
export const once: App = (program) => {
  const ended = program.clock.after(0, () => program.exit(0));
  program.own({ close: () => ended.cancel() });
};
