/** Owns how a group of cases is judged: both sides built from the same data, each line of the script run on both, the answers side by side. */
import { buildKernel } from "./kernel";
import { loadRules } from "./kernelbuild";
import { type Abilities, Sandbox } from "./sandbox";
import { buildSimulator } from "./simulator";
import type { Topology } from "./topology";
import type { Case, Expectation, Group, Part, World } from "./world";

/** What came of a case: a line for each question, `tcp a1 b1: b1 saw a1`. */
export interface Judgement {
  readonly kernel: readonly string[];
  readonly simulator: readonly string[];
  /** What the table says, where it says something; else what the kernel says. */
  readonly table: readonly string[];
}

/** How many sandboxes live at a time: most of what they do is to wait. */
const atOnce = 18;
let running = 0;
const queue: (() => void)[] = [];

interface Machine {
  readonly way: readonly string[];
  readonly missing: Abilities;
}

/**
 * Judges the cases of a group one after the other; a case that lacks something on this machine is left out. A busy
 * machine may answer too late, so a group with a difference is judged once more: what differs twice is a difference.
 */
export async function judgeGroup(
  topology: Topology,
  group: Group,
  machine: Machine,
): Promise<ReadonlyMap<Case, Judgement>> {
  const first = await judgeOnce(topology, group, machine);
  if ([...first.values()].every(agrees)) return first;
  const second = await judgeOnce(topology, group, machine);
  return new Map([...first].map(([one, judged]) => [one, agrees(judged) ? judged : (second.get(one) ?? judged)]));
}

function agrees({ kernel, simulator, table }: Judgement): boolean {
  return kernel.every((said, at) => said === simulator[at] && said === table[at]);
}

async function judgeOnce(topology: Topology, group: Group, machine: Machine): Promise<ReadonlyMap<Case, Judgement>> {
  if (running >= atOnce) await new Promise<void>((resolve) => queue.push(resolve));
  running++;
  const sandbox = new Sandbox(machine.way);
  try {
    const kernel = await buildKernel(topology, group.version, sandbox);
    const simulator = buildSimulator(topology, group.version, { rules: group.rules });
    if (group.rules) await loadRules(topology, group.version, sandbox);
    const judged = new Map<Case, Judgement>();
    for (const one of group.cases) {
      if (one.needs !== undefined && machine.missing[one.needs] !== undefined) continue;
      const real = await run(kernel, one);
      const table = expectedOf(one).map((said, at) => said ?? real[at] ?? "");
      judged.set(one, { kernel: real, simulator: await run(simulator, one), table });
    }
    return judged;
  } finally {
    sandbox.stop();
    running--;
    queue.shift()?.();
  }
}

function questionsOf(part: Part): readonly Expectation[] {
  return "together" in part ? part.together : "ask" in part ? [part] : [];
}

async function run(world: World, { script }: Case): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const part of script) {
    if ("step" in part) await world.change(part);
    const asked = questionsOf(part);
    const answers = await world.ask(asked.map(({ ask }) => ask));
    lines.push(...asked.map((question, at) => line(question, answers[at] ?? "")));
  }
  return lines;
}

function expectedOf({ script }: Case): readonly (string | undefined)[] {
  return script
    .flatMap(questionsOf)
    .map((question) => (question.gives === undefined ? undefined : line(question, question.gives)));
}

function line({ ask }: Expectation, answer: string): string {
  return `${Object.values(ask).join(" ")}: ${answer}`;
}
