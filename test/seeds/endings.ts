/** Owns pods that only end: each with a hook, a grace, an answer to its signal and a way of being deleted from the seed. */

import { millisecond, type Time } from "../../kernel-lib/sim/clock";
import { Random } from "../../kernel-lib/sim/random";

export type Answer = "at once" | "never" | "after";

/** One such pod. Times are seconds unless their name says otherwise. */
export interface Ending {
  readonly name: string;
  readonly pod: object;
  readonly hook: { readonly kind: "none" | "sleep" | "exec" | "failing" | "http"; readonly seconds: number };
  readonly signal: "SIGTERM" | "SIGQUIT";
  /** How its process answers the stop signal, and after how long it is gone. */
  readonly answer: { readonly how: Answer; readonly seconds: number; readonly exitCode: number };
  readonly grace: number;
  /** What the deletion asks for; undefined: the pod's own grace. */
  readonly asked: number | undefined;
  /** When it is deleted, after the first request. */
  readonly deleteAfter: Time;
}

/** How many of them a run has. */
const count = 4;

/** Those of a seed, all on one node. */
export function endingsOf(seed: number, node: string): readonly Ending[] {
  const random = new Random(seed).fork("endings");
  return Array.from({ length: count }, (_, at) => endingOf(random, `end-${at + 1}`, node));
}

function endingOf(random: Random, name: string, node: string): Ending {
  const one = <T>(of: readonly T[]): T => of[random.integer(0, of.length - 1)] as T;
  const program = one(programs)(random.integer(1, 12));
  const kinds = [
    "none",
    "sleep",
    "sleep",
    "exec",
    "failing",
    ...(program.image.includes("web") ? (["http"] as const) : []),
  ];
  const kind = one(kinds) as Ending["hook"]["kind"];
  const grace = random.integer(2, 14);
  // The API server wants a sleep to be shorter than the pod's own grace; a deletion may still ask for less.
  const hook = { kind, seconds: random.integer(1, kind === "sleep" ? grace - 1 : 12) };
  const asked = one([undefined, undefined, undefined, 0, 1, random.integer(1, 20)]);
  const preStop = handlerOf(hook);
  const { image, command, env } = program;
  const container = {
    ...{ name: "it", image },
    ...(command && { command }),
    ...(env && { env: Object.entries(env).map(([key, value]) => ({ name: key, value })) }),
    ...(preStop && { lifecycle: { preStop } }),
  };
  const spec = { nodeName: node, terminationGracePeriodSeconds: grace, containers: [container] };
  const deleteAfter = random.integer(1_000, 20_000) * millisecond;
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
  return { name, pod, hook, signal: program.signal, answer: program.answer, grace, asked, deleteAfter };
}

function handlerOf({ kind, seconds }: Ending["hook"]): object | undefined {
  switch (kind) {
    case "none":
      return undefined;
    case "sleep":
      return { sleep: { seconds } };
    case "exec":
      return { exec: { command: ["sleep", `${seconds}`] } };
    case "failing":
      return { exec: { command: ["sh", "-c", `sleep ${seconds}; exit 3`] } };
    case "http":
      return { httpGet: { port: 8080, path: `/slow?seconds=${seconds}` } };
  }
}

interface OfImage {
  readonly image: string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly signal: Ending["signal"];
  readonly answer: Ending["answer"];
}

const web = "kubebook/web:1.0";

/** Each is given the seconds that it takes where it takes some. */
const programs: readonly ((seconds: number) => OfImage)[] = [
  () => ({ image: "nginx:1.28", signal: "SIGQUIT", answer: { how: "at once", seconds: 0, exitCode: 0 } }),
  // The kernel spares the first process of a namespace the signals that it has no handler for.
  () => ({
    ...{ image: "busybox", command: ["sleep", "1d"], signal: "SIGTERM" },
    answer: { how: "never", seconds: 0, exitCode: 137 },
  }),
  () => ({
    ...{ image: web, env: { ON_SIGTERM: "ignore" }, signal: "SIGTERM" },
    answer: { how: "never", seconds: 0, exitCode: 137 },
  }),
  () => ({
    ...{ image: web, env: { ON_SIGTERM: "exit" }, signal: "SIGTERM" },
    answer: { how: "at once", seconds: 0, exitCode: 143 },
  }),
  ...(["close", "drain"] as const).map(
    (manners) =>
      (seconds: number): OfImage => ({
        ...{ image: web, env: { ON_SIGTERM: manners, DRAIN_SECONDS: `${seconds}` }, signal: "SIGTERM" },
        answer: { how: "after", seconds, exitCode: 0 },
      }),
  ),
];
