/** Owns `kubebook flows`: tests of where packets go, for manifests of your own. */
import type { Command } from "commander";
import type { AskedCase, FlowCase } from "../cluster/flows/file";
import type { FlowAnswer } from "../cluster/flows/flow";
import { askedWrongly, isJson, print, readTexts, wrongly } from "./asked";

interface FlowFlags {
  readonly output?: string;
}

const help = `
A file holds one case, or several under "cases"; YAML or JSON:
  config: { proxyMode: nftables, nodeIP: 192.168.0.2, detectLocal: { mode: ClusterCIDR, clusterCIDR: 10.244.0.0/16 } }
  objects: [ Services and EndpointSlices, as kubectl get -o yaml prints them ]
  flows:
    - name: pods reach the shop
      sourceIP: 10.244.1.5
      destIP: 10.96.0.50
      destPort: 80
      expect: { endpoints: ["10.244.2.7:8080"], masquerade: false }      # or { verdict: REJECT }

A flow without "expect" is only asked. It ends with 0 if all pass, with 1 if one fails, with 2 if a file cannot be used.`;

/** Adds the verb. */
export function register(program: Command): void {
  program
    .command("flows")
    .description("packet-flow tests for your manifests: who can get a packet, or what becomes of it")
    .argument("<file...>", "files of cases, folders of them, or - for standard input")
    .option("-o, --output <format>", "json")
    .addHelpText("after", help)
    .exitOverride(askedWrongly)
    .action(flows);
}

/** The cases of one file, asked. */
interface AskedFile {
  readonly file: string;
  readonly cases: readonly {
    readonly one: FlowCase;
    readonly asked: readonly AskedCase[];
    readonly extra: readonly string[];
  }[];
}

async function flows(files: readonly string[], { output }: FlowFlags): Promise<void> {
  const json = isJson(output);
  const { askCase, martianDifference, readFlowFile } = await import("../cluster/flows/file.js");
  const texts = readTexts(files);
  const read = texts.map(({ file, text }) => ({ file, cases: wrongly(() => readFlowFile(text, file)) }));
  const found = read.map(
    ({ file, cases }): AskedFile => ({
      file,
      cases: cases.map((one) =>
        wrongly(() => ({ one, asked: askCase(one), extra: martianDifference(one) }), `${file}: ${one.name}: `),
      ),
    }),
  );
  const all = found.flatMap(({ cases }) => cases);
  const judged = all.flatMap(({ asked }) => asked).filter(({ flow }) => flow.expect);
  const failed =
    judged.filter(({ differences }) => differences.length > 0).length +
    all.filter(({ extra }) => extra.length > 0).length;
  const sums = { passed: judged.length - judged.filter(({ differences }) => differences.length > 0).length, failed };
  print(json ? `${JSON.stringify({ files: found.map(fileJson), ...sums }, null, 2)}\n` : textOf(found, sums));
  process.exitCode = failed > 0 ? 1 : 0;
}

function textOf(
  files: readonly AskedFile[],
  { passed, failed }: { readonly passed: number; readonly failed: number },
): string {
  const lines = files.flatMap(({ file, cases }) => [file, ...cases.flatMap((each) => caseLines(each, file))]);
  return `${[...lines, "", `${passed} passed, ${failed} failed`].join("\n")}\n`;
}

function caseLines({ one, asked, extra }: AskedFile["cases"][number], file: string): readonly string[] {
  const { mode, nodeName } = one.config;
  const widest = Math.max(0, ...asked.map(({ flow }) => flow.name.length));
  return [
    `  ${one.name}  (${mode}, ${nodeName})`,
    ...asked.flatMap(({ flow, answer, differences }) => {
      const mark = flow.expect ? (differences.length === 0 ? "✓" : "✗") : "·";
      const line = `    ${mark} ${flow.name.padEnd(widest)}  ${outcomeText(answer)}`;
      return [line, ...differences.map((what) => `        ${what}  (${file}:${flow.line})`)];
    }),
    ...extra.map((what) => `    ✗ ${what}`),
  ];
}

/** `→ 10.180.0.1:80 50.00 %, 10.180.2.1:80 50.00 %, masqueraded` */
function outcomeText(answer: FlowAnswer): string {
  const shares = sharesOf(answer);
  const list = Object.entries(shares).map(([who, share]) => `${who} ${(share * 100).toFixed(2)} %`);
  const where = answer.endpoints
    ? `→ ${list.join(", ")}`
    : answer.verdict === "none"
      ? "no rule"
      : (answer.verdict ?? "");
  return answer.masquerade ? `${where}, masqueraded` : where;
}

/** How likely each endpoint is. */
function sharesOf({ ways, endpoints = [] }: FlowAnswer): Readonly<Record<string, number>> {
  return Object.fromEntries(
    endpoints.map((each) => [
      each,
      ways.reduce((sum, { endpoint, probability }) => sum + (endpoint === each ? probability : 0), 0),
    ]),
  );
}

function fileJson({ file, cases }: AskedFile): object {
  return {
    file,
    cases: cases.map(({ one, asked, extra }) => ({
      name: one.name,
      mode: one.config.mode,
      ...(extra.length > 0 && { differences: extra }),
      flows: asked.map(({ flow, answer, differences }) => ({
        name: flow.name,
        line: flow.line,
        ...(flow.expect && { passed: differences.length === 0, expect: flow.expect, differences }),
        got: {
          ...(answer.endpoints ? { endpoints: answer.endpoints } : { verdict: answer.verdict }),
          masquerade: answer.masquerade,
          probabilities: sharesOf(answer),
        },
        ways: answer.ways,
      })),
    })),
  };
}
