/** Owns what an image is: a function or several, and what a container of it starts with. */
import type { App, Signal } from "./app";

/** An image as a node has it once it is pulled. */
export interface Image {
  /** `docker.io/library/nginx:latest`. */
  readonly reference: string;
  /** `docker.io/library/nginx@sha256:…`: what `status.containerStatuses[].imageID` shows. */
  readonly id: string;
  /** What is pulled (compressed), in octets. */
  readonly size: number;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: { readonly [name: string]: string };
  readonly folder: string;
  /** What the runtime sends to end it; SIGTERM unless the image says otherwise. */
  readonly stopSignal: Signal;
  /** Programs that are functions of ours, by the name of their executable. */
  readonly programs: { readonly [name: string]: App };
  /** Executables that the shell of the cluster layer runs: `sh`, `sleep`, `curl`, `nslookup`. */
  readonly tools: readonly string[];
  /**
   * Its program only answers: alone in its pod nobody can tell when it began until somebody speaks to it, or looks at it or
   * its log.
   */
  readonly quiet?: boolean;
  /** What the image brings: path → text. */
  readonly files: { readonly [path: string]: string };
}

/** Why a pull failed. */
export interface PullFailure {
  /** The gRPC code of the runtime: the kubelet shows it unless it is `Unknown`. */
  readonly code: "Unknown" | "NotFound";
  /** The runtime's sentence. */
  readonly message: string;
}

/** Where nodes pull from. */
export interface Registry {
  /** The image of a reference in full (`docker.io/library/nginx:latest`), or why there is none. */
  pull(reference: string): Image | PullFailure;
}

export function isPullFailure(result: object | PullFailure): result is PullFailure {
  return "message" in result && "code" in result;
}

/** The file name of an executable: `/usr/sbin/nginx` → `nginx`. */
export function executableName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
