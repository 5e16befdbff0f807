/** Owns the server as the course uses it: our kernel, our front end, the checkout's folders. */
import { KernelProcess } from "../kernel";
import { kernelName, kernelSpec } from "../kernelspec";
import { logoSvg } from "../logo";
import { labPage } from "./labpage";
import { type RunningServer, serve } from "./server";

export type { RunningServer } from "./server";
export { stateDirectory } from "./server";

export interface StartOptions {
  /** The learner's folder; made if it is missing. */
  readonly workDirectory: string;
  /** The chapters as they are published. */
  readonly notebooksDirectory: string;
  /** The front end's bundle. */
  readonly assets: string;
  /** 0: any free one. */
  readonly port: number;
  /** Default: a random one. */
  readonly token?: string;
  readonly log?: (line: string) => void;
}

/** Starts the course's server on 127.0.0.1. @throws the system's error with `code` where the port cannot be had */
export function startServer(options: StartOptions): Promise<RunningServer> {
  const { assets } = options;
  const { display_name, language } = kernelSpec();
  return serve({
    ...options,
    page: (address) => labPage({ assets, ...address }),
    kernel: { name: kernelName, display_name, language, logo: logoSvg() },
    launch: ({ cwd }) => KernelProcess.start({ cwd }),
  });
}
