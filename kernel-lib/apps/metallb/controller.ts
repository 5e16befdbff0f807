/** Owns MetalLB's controller: it gives Services of type LoadBalancer addresses of the pools, and says so in their status. */
import { type Controller, runController } from "../../api/controller";
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import { formatIp, tryParseIp } from "../../net/address";
import { millisecond, second } from "../../sim/clock";
import type { App, Program } from "../app";
import { AllocationError, Allocator, annotationOf } from "./allocator";
import { flagOf, isOurs, jsonLog, type Log, type MetallbHost, quotedList, tell } from "./host";
import { serveMetrics } from "./metrics";
import { poolsOf } from "./pools";

type Service = Kinds["Service"];

const component = "metallb-controller";
const poolAnnotation = "metallb.io/ip-allocated-from-pool";
/** The key of "the configuration has changed", beside those of Services. */
const configKey: Key = "config";

export const metallbVersion = "v0.15.2";

/** `/controller --port=7472 --log-level=info`, with `--lb-class=…` for Services of that class only. */
export function metallbController(host: MetallbHost): App {
  return (program) => {
    const log = jsonLog(program);
    program.onSignal("SIGTERM", () => program.exit(0));
    const msg = `MetalLB controller starting version ${metallbVersion}`;
    log("info", "main.go:181", {
      branch: "dev",
      commit: "dev",
      goversion: "gc / go1.24.4 / amd64",
      msg,
      version: metallbVersion,
    });
    const running = runController(host.sim, host.store, new AddressController(host, program, log), {
      hear: 5 * millisecond,
      work: 5 * millisecond,
    });
    program.own({ close: () => running.stop() });
    serveMetrics(program);
  };
}

class AddressController implements Controller {
  readonly name = component;
  readonly watches: Controller["watches"] = {
    Service: (key, now, before) =>
      now?.spec.type === "LoadBalancer" || before?.spec.type === "LoadBalancer" ? [key] : [],
    IPAddressPool: () => [configKey],
  };
  readonly #host: MetallbHost;
  readonly #program: Program;
  readonly #log: Log;
  readonly #class: string | undefined;
  readonly #allocator = new Allocator();

  constructor(host: MetallbHost, program: Program, log: Log) {
    this.#host = host;
    this.#program = program;
    this.#log = log;
    this.#class = flagOf(program, "lb-class");
    // What others have been given before this controller was there stays theirs.
    const pools = poolsOf(host.store);
    for (const service of host.store.list("Service")) {
      const ips = ingressOf(service);
      if (ips.length > 0 && isOurs(service, this.#class))
        this.#attempt(() => this.#allocator.assign(keyOf(service), service, pools, ips));
    }
  }

  reconcile(key: Key) {
    if (this.#host.cutOff(this.#program)) return { after: 5 * second, kind: "background" } as const;
    if (key === configKey) {
      for (const service of this.#host.store.list("Service")) this.#converge(keyOf(service));
      return undefined;
    }
    if (this.#converge(key)) this.#converging();
    return undefined;
  }

  /** An address has become free: whoever waits for one tries again. */
  #converging(): void {
    for (const service of this.#host.store.list("Service")) {
      if (service.spec.type === "LoadBalancer" && ingressOf(service).length === 0) this.#converge(keyOf(service));
    }
  }

  /** Brings one Service nearer what it should have; true if it has given an address back. */
  #converge(key: Key): boolean {
    const { store } = this.#host;
    const service = store.get("Service", key);
    if (!service) {
      const had = this.#allocator.release(key);
      if (had) this.#log("info", "main.go:68", { event: "serviceDeleted", msg: "service deleted" });
      return had;
    }
    if (service.spec.type !== "LoadBalancer" || !isOurs(service, this.#class)) {
      const had = this.#allocator.release(key);
      if (had && service.metadata.annotations?.[poolAnnotation] !== undefined) this.#write(service, [], undefined);
      return had;
    }
    const ips = this.#addressesFor(key, service);
    this.#write(service, ips, this.#allocator.poolOf(key));
    return false;
  }

  #addressesFor(key: Key, service: Service): readonly string[] {
    const pools = poolsOf(this.#host.store);
    if (pools.length === 0) {
      this.#allocator.release(key);
      return [];
    }
    const current = this.#current(key, service, pools);
    if (current.length > 0) return current;
    this.#allocator.release(key);
    try {
      const ips = this.#allocate(key, service, pools);
      this.#log("info", "service.go:163", { event: "ipAllocated", ip: ips, msg: "IP address assigned by controller" });
      this.#tell(service, "Normal", "IPAllocated", `Assigned IP ${quotedList(ips)}`);
      return ips;
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      this.#log("error", "service.go:153", { error: error.message, msg: "IP allocation failed", op: "allocateIPs" });
      const why = `Failed to allocate IP for ${JSON.stringify(key)}: ${error.message}`;
      this.#tell(service, "Warning", "AllocationFailed", why);
      return [];
    }
  }

  /** The addresses that it has, if it may keep them. */
  #current(key: Key, service: Service, pools: ReturnType<typeof poolsOf>): readonly string[] {
    const ips = ingressOf(service);
    if (ips.length === 0) return [];
    const problem = this.#attempt(() => this.#allocator.assign(key, service, pools, ips));
    if (problem !== undefined) {
      const msg = "current IP not allowed by config, clearing";
      this.#log("info", "service.go:105", { error: problem, event: "clearAssignment", msg });
      const why = `current IP for ${JSON.stringify(key)} not allowed by config, will attempt for new IP assignment: ${problem}`;
      this.#tell(service, "Normal", "ClearAssignment", why);
      return [];
    }
    const clear = (reason: string, msg: string): readonly string[] => {
      this.#log("info", "service.go:115", { event: "clearAssignment", msg, reason });
      return [];
    };
    const pool = annotationOf(service, "address-pool");
    if (pool !== undefined && this.#allocator.poolOf(key) !== pool) {
      return clear("differentPoolRequested", "user requested a different pool than the one currently assigned");
    }
    let desired: readonly string[] = [];
    if (this.#attempt(() => (desired = desiredIps(service))) !== undefined) return [];
    if (desired.length > 0 && [...desired].sort().join() !== [...ips].sort().join()) {
      return clear("differentIPRequested", "user requested a different IP than the one currently assigned");
    }
    return ips;
  }

  /** The message of what could not be given. */
  #attempt(run: () => unknown): string | undefined {
    try {
      run();
      return undefined;
    } catch (error) {
      if (error instanceof AllocationError) return error.message;
      throw error;
    }
  }

  #allocate(key: Key, service: Service, pools: ReturnType<typeof poolsOf>): readonly string[] {
    const desired = desiredIps(service);
    const pool = annotationOf(service, "address-pool");
    if (desired.length > 0) {
      this.#allocator.assign(key, service, pools, desired);
      if (pool === undefined || this.#allocator.poolOf(key) === pool) return desired;
      this.#allocator.release(key);
      const wanted = quotedList(desired);
      throw new AllocationError(
        `requested loadBalancer IP(s) ${wanted} is not compatible with requested address pool ${pool}`,
      );
    }
    if (pool !== undefined) return this.#allocator.fromPool(key, service, pools, pool);
    const namespace = this.#host.store.get("Namespace", service.metadata.namespace ?? "");
    return this.#allocator.fromAny(key, service, pools, namespace?.metadata.labels ?? {});
  }

  #write(service: Service, ips: readonly string[], pool: string | undefined): void {
    const { [poolAnnotation]: before, ...rest } = service.metadata.annotations ?? {};
    if (before === pool && ingressOf(service).join() === ips.join()) return;
    const annotations = pool === undefined ? rest : { ...rest, [poolAnnotation]: pool };
    const ingress = ips.map((ip) => ({ ip, ipMode: "VIP" }));
    this.#host.store.update(
      "Service",
      keyOf(service),
      (now) => ({
        ...now,
        metadata: { ...now.metadata, annotations },
        status: { ...now.status, loadBalancer: ingress.length > 0 ? { ingress } : {} },
      }),
      component,
    );
    this.#log("info", "main.go:132", { event: "serviceUpdated", msg: "updated service object" });
  }

  #tell(service: Service, type: "Normal" | "Warning", reason: string, message: string): void {
    tell(this.#host, service, { type, reason, message, component });
  }
}

export function ingressOf({ status }: Service): readonly string[] {
  return (status.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
}

/** The addresses that somebody asked for. @throws AllocationError */
function desiredIps(service: Service): readonly string[] {
  const annotation = annotationOf(service, "loadBalancerIPs") ?? "";
  const field = service.spec.loadBalancerIP ?? "";
  const name = "metallb.io/loadBalancerIPs";
  if (annotation !== "" && field !== "") {
    throw new AllocationError(`service can not have both ${name} and svc.Spec.LoadBalancerIP`);
  }
  if (field !== "" && tryParseIp(field) === undefined) {
    throw new AllocationError(`invalid spec.loadBalancerIP ${JSON.stringify(field)}`);
  }
  const words = (annotation || field).split(",").map((word) => word.trim());
  return words.flatMap((word) => {
    if (word === "") return [];
    const ip = tryParseIp(word);
    if (ip === undefined) throw new AllocationError(`invalid ${name}: ${JSON.stringify(annotation)}`);
    return [formatIp(ip)];
  });
}
