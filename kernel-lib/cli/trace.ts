/** Owns `kubebook trace`: where a packet goes in a cluster that somebody else runs, read from its manifests. */
import type { Command } from "commander";
import type { StaticAnswer } from "../cluster/world/ask";
import type { QuestionWords } from "../cluster/world/words";
import { another, askedWrongly, isJson, print, readTexts, wrongly } from "./asked";

interface TraceFlags extends QuestionWords {
  readonly filename: readonly string[];
  readonly output?: string;
  readonly all?: boolean;
}

const help = `
The manifests are what a cluster prints; more kinds and fields than these do no harm:
  kubectl get svc,endpointslices,pods,nodes -A -o yaml > cluster.yaml
  kubectl get cm kube-proxy -n kube-system -o yaml > kube-proxy.yaml    (kube-proxy's own mode and options, if you may)
  kubebook trace -f cluster.yaml -f kube-proxy.yaml --from pod/shop/cart-0 --to svc/shop/redis:6379

It ends with 0 if everything that can happen is that the packet is delivered, with 1 if anything else can
happen, with 2 if the question or the manifests cannot be used.`;

/** Adds the verb. */
export function register(program: Command): void {
  program
    .command("trace")
    .description("where a packet goes in your cluster: from its manifests, with every outcome, the rules, and the way")
    .requiredOption(
      "-f, --filename <file>",
      "manifests, a folder of them, or - for standard input; repeatable",
      another,
    )
    .requiredOption("--from <who>", "pod/[namespace/]name, node/name, or an IP address, also one outside")
    .requiredOption("--to <whom>", "svc/[namespace/]name[:port], pod/…:port, node/…:port, or IP:port")
    .option("--protocol <protocol>", "tcp, udp or sctp (default: what the Service's port speaks, else tcp)")
    .option("--mode <mode>", "iptables, nftables, ipvs or userspace (default: as kube-proxy's ConfigMap says)")
    .option("--node <name>", "the node that a packet from outside comes in by")
    .option("--family <family>", "IPv4 or IPv6, where there is a choice (default: the Service's first)")
    .option("--cluster-cidr <prefixes>", "where pods live, as kube-proxy is told; or none")
    .option("--all", "draw the way of every outcome")
    .option("-o, --output <format>", "json")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .exitOverride(askedWrongly)
    .action(trace);
}

async function trace(flags: TraceFlags): Promise<void> {
  const json = isJson(flags.output);
  const { readWords } = await import("../cluster/world/words.js");
  const { question, said } = wrongly(() => readWords(flags));
  const { readObjects } = await import("../cluster/world/objects.js");
  const { staticWorld } = await import("../cluster/world/world.js");
  const { askWorld } = await import("../cluster/world/ask.js");
  const { answerText } = await import("../cluster/world/print.js");
  const objects = wrongly(() => readObjects(readTexts(flags.filename)));
  const world = wrongly(() => staticWorld(objects, said));
  const answer = wrongly(() => askWorld(world, question));
  const { mode } = world.proxy;
  print(
    json ? `${JSON.stringify(asJson(answer, mode), null, 2)}\n` : answerText(answer, { mode, all: flags.all ?? false }),
  );
  process.exitCode = answer.delivered ? 0 : 1;
}

/** The same as the text, for a program: without the parts that only a picture needs. */
function asJson({ outcomes, ...answer }: StaticAnswer, mode: string): object {
  return {
    ...answer,
    mode,
    outcomes: outcomes.map(({ hops, ...outcome }) => ({
      ...outcome,
      path: hops.map(({ where, before, after, changes, reasons, end }) => ({
        where,
        packet: `${before.source} → ${before.target}`,
        ...(changes.length > 0 && {
          after: `${after.source} → ${after.target}`,
          changes: changes.map(({ text }) => text),
        }),
        rules: reasons.flatMap(({ kind, text }) => (kind === "rule" ? [text] : [])),
        ...(end && { end: end.why }),
      })),
    })),
  };
}
