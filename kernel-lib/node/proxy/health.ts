/** Owns what kube-proxy answers over HTTP: its mode, metrics and health, and the health check ports of Services. */
import { recordEvent } from "../../api/events";
import type { Key } from "../../api/meta";
import type { Store } from "../../api/store";
import { rfc3339 } from "../../api/time";
import type { Program } from "../../apps/app";
import { type Headers, type HttpResponse, httpDate } from "../../apps/http";
import { type HttpServer, serveHttp } from "../../apps/httpserver";
import { type Family, family as familyOf, parseIp } from "../../net/address";
import { SocketError } from "../../net/socket";
import { second, type Time } from "../../sim/clock";
import type { KubeProxyConfig } from "./config";
import { metricsText } from "./metrics";
import type { KubeProxy } from "./proxy";
import { localReadyEndpoints } from "./view";

/** What serves, and how long it may wait for a sync before it calls itself ill. */
export interface Served {
  readonly program: Program;
  readonly store: Store;
  readonly config: KubeProxyConfig;
  readonly proxy: KubeProxy;
  /** How long a sync may be due: twice the sync period. */
  readonly timeout: Time;
  /** A server could not have its port. */
  failed(what: string, error: SocketError): void;
}

const noSniff = ["X-Content-Type-Options", "nosniff"] as const;

function reply(program: Program, status: number, type: string, body: string, more: Headers = []): HttpResponse {
  const headers = [["Content-Type", type] as const, ...more, ["Date", httpDate(program.clock.now)] as const];
  return { status, ...(status === 503 && { reason: "Service Unavailable" }), headers, body };
}

function notFound(program: Program): HttpResponse {
  return reply(program, 404, "text/plain; charset=utf-8", "404 page not found\n", [noSniff]);
}

/** `/proxyMode`, `/metrics` and `/healthz` on metricsBindAddress (10249); `/healthz` and `/livez` on healthzBindAddress (10256). */
export function serveProxy(served: Served): void {
  const { program, config, proxy } = served;
  const counts = { healthz: new Map<number, number>(), livez: new Map<number, number>() };
  const plain = "text/plain; charset=utf-8";
  listen(served, "metrics", config.metricsBindAddress, (path) => {
    if (path === "/proxyMode") return reply(program, 200, plain, proxy.mode, [noSniff]);
    if (path === "/healthz") return reply(program, 200, plain, "ok", [noSniff]);
    if (path !== "/metrics") return notFound(program);
    const type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    return reply(program, 200, type, metricsText(proxy, counts));
  });
  listen(served, "healthz", config.healthzBindAddress, (path) => {
    if (path !== "/healthz" && path !== "/livez") return notFound(program);
    const isHealthz = path === "/healthz";
    const response = health(served, isHealthz);
    const counted = isHealthz ? counts.healthz : counts.livez;
    counted.set(response.status, (counted.get(response.status) ?? 0) + 1);
    return response;
  });
}

function listen(served: Served, what: string, address: string, answer: (path: string) => HttpResponse): void {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address) ?? [];
  const host = bracketed ?? plain ?? "";
  const any = host === "0.0.0.0" || host === "::" || host === "";
  const options = { port: Number(port), owner: "kube-proxy", ...(!any && { ip: parseIp(host) }) };
  try {
    serveHttp(served.program, options, ({ request }) => answer(request.target.split("?")[0] ?? "/"));
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    served.failed(what, error);
  }
}

/** Whether it does what it should; `/healthz` also whether this node should get new connections from a load balancer at all. */
function health({ program, store, proxy, timeout }: Served, isHealthz: boolean): HttpResponse {
  const { now } = program.clock;
  const { figures } = proxy;
  const node = store.get("Node", proxy.node.name);
  const leaving = node?.spec.taints?.some(({ key }) => key === "ToBeDeletedByClusterAutoscaler") ?? false;
  const eligible = node !== undefined && node.metadata.deletionTimestamp === undefined && !leaving;
  const healthy = figures.isHealthy(now, timeout) && (eligible || !isHealthz);
  const updated = healthy ? now : (figures.lastSync ?? figures.started);
  const time = (at: Time): string => JSON.stringify(goTime(at, figures.started));
  const nodeEligible = isHealthz ? `, "nodeEligible": ${eligible}` : "";
  const body = `{"lastUpdated": ${time(updated)},"currentTime": ${time(now)}${nodeEligible}}`;
  return reply(program, healthy ? 200 : 503, "application/json", body, [noSniff]);
}

/** A moment as Go prints it, with what its own clock showed since the program began. */
function goTime(at: Time, started: Time): string {
  const [date = "", clock = ""] = rfc3339(at).replace("Z", "").split("T");
  const fraction = String(at % second)
    .padStart(6, "0")
    .replace(/0+$/, "");
  const since = ((at - started) / second).toFixed(9);
  return `${date} ${clock.slice(0, 8)}${fraction && `.${fraction}`} +0000 UTC m=+${since}`;
}

/**
 * The health check ports of Services with externalTrafficPolicy Local: a load balancer asks there whether this node has
 * endpoints (pkg/proxy/healthcheck/service_health.go).
 */
export class ServiceHealth {
  readonly #served: Served;
  readonly #servers = new Map<Key, { readonly port: number; readonly server: HttpServer | undefined }>();

  constructor(served: Served) {
    this.#served = served;
  }

  /** Opens the ports of Services that need one, closes all others. @param changed Services that may be other than before */
  sync(changed: readonly Key[]): void {
    for (const service of changed) {
      const port = this.#portOf(service);
      const known = this.#servers.get(service);
      if (known?.port === port) continue;
      known?.server?.drain(() => {});
      this.#servers.delete(service);
      if (port !== undefined) this.#servers.set(service, { port, server: this.#open(service, port) });
    }
  }

  #portOf(service: Key): number | undefined {
    const { proxy } = this.#served;
    const ports = proxy.families.flatMap((family) => proxy.view(family)?.portsOf(service) ?? []);
    return ports.find(({ healthCheckNodePort }) => healthCheckNodePort !== undefined)?.healthCheckNodePort;
  }

  #open(service: Key, port: number): HttpServer | undefined {
    const { program, store, proxy } = this.#served;
    try {
      return serveHttp(program, { port, owner: "kube-proxy" }, ({ socket }) =>
        this.#answer(service, familyOf(socket.remote.ip)),
      );
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      const about = store.get("Service", service);
      const why = `listen tcp 0.0.0.0:${port}: bind: address already in use`;
      const message = `node ${proxy.node.name} failed to start healthcheck "${service}" on port ${port}: ${why}`;
      const event = { type: "Warning", reason: "FailedToStartServiceHealthcheck", component: "kube-proxy" } as const;
      if (about) recordEvent(proxy.node.sim, store, { about, message, ...event });
      return undefined;
    }
  }

  #answer(service: Key, family: Family): HttpResponse {
    const { program, proxy, timeout } = this.#served;
    const shared = proxy.view(family)?.sharedOf(service) ?? [];
    const count = localReadyEndpoints(shared, proxy.node.name).get(service) ?? 0;
    const healthy = proxy.figures.isHealthy(program.clock.now, timeout);
    const [namespace, name] = service.split("/").map((word) => JSON.stringify(word));
    const body = [
      "{",
      '\t"service": {',
      `\t\t"namespace": ${namespace},`,
      `\t\t"name": ${name}`,
      "\t},",
      `\t"localEndpoints": ${count},`,
      `\t"serviceProxyHealthy": ${healthy}`,
      "}",
    ].join("\n");
    const weight = ["X-Load-Balancing-Endpoint-Weight", String(count)] as const;
    return reply(program, count > 0 && healthy ? 200 : 503, "application/json", body, [noSniff, weight]);
  }
}
