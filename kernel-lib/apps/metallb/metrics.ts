/** Owns the page of metrics of MetalLB's programs: what Prometheus reads, and what the kubelet's probes ask for. */
import type { Program } from "../app";
import { serveHttp } from "../httpserver";
import { flagOf } from "./host";

/** One figure of the page. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly value: number;
}

/** What both programs say of their connection to the API (internal/k8s): the configuration is there, and taken. */
const client: readonly Metric[] = [
  {
    name: "config_loaded_bool",
    help: "1 if the MetalLB configuration was successfully loaded at least once.",
    value: 1,
  },
  {
    name: "config_stale_bool",
    help: "1 if running on a stale configuration, because the latest config failed to load.",
    value: 0,
  },
];

/** Answers `/metrics` at `--port`, in the text format of Prometheus, until the program ends. */
export function serveMetrics(program: Program): void {
  const port = Number(flagOf(program, "port") ?? 7472);
  const headers = [["Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"]] as const;
  serveHttp(program, { port, owner: program.argv[0]?.replace(/^.*\//, "") ?? "" }, ({ request }) => {
    const found = request.target.replace(/\?.*$/, "") === "/metrics";
    return { status: found ? 200 : 404, headers, body: found ? page(client) : "404 page not found\n" };
  });
}

function page(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, help, value }) => {
      const full = `metallb_k8s_client_${name}`;
      return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${full} ${value}\n`;
    })
    .join("");
}
