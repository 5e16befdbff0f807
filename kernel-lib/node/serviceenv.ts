/** Owns the variables by which a container finds the Services of its namespace (pkg/kubelet/envvars). */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";

type Pod = Kinds["Pod"];
type Service = Kinds["Service"];
type Variables = ReadonlyMap<string, string>;

/** The Services of each namespace at a moment: the same for all pods until one of them changes. */
interface Snapshots {
  readonly byNamespace: Map<string, () => Variables>;
  /** For pods that want no links: `kubernetes` alone. */
  main: (() => Variables) | undefined;
}

const snapshots = new WeakMap<Store, Snapshots>();

function snapshotsOf(store: Store): Snapshots {
  const known = snapshots.get(store);
  if (known) return known;
  const made: Snapshots = { byNamespace: new Map(), main: undefined };
  store.follow("Service", ({ key, object }) => {
    if (key === "default/kubernetes") {
      made.byNamespace.clear();
      made.main = undefined;
    } else made.byNamespace.delete(object.metadata.namespace ?? "default");
  });
  snapshots.set(store, made);
  return made;
}

/**
 * Where the Services of a pod's namespace, and `kubernetes`, are at this moment (getServiceEnvVarMap). Asked later, the
 * answer is still that of this moment; the text is made when it is first asked for.
 */
export function serviceEnv(store: Store, pod: Pod): () => Variables {
  const held = snapshotsOf(store);
  if (pod.spec.enableServiceLinks === false) {
    held.main ??= snapshot(store, []);
    return held.main;
  }
  const namespace = pod.metadata.namespace ?? "default";
  const known = held.byNamespace.get(namespace);
  if (known) return known;
  const made = snapshot(store, store.list("Service", { namespace }));
  held.byNamespace.set(namespace, made);
  return made;
}

function snapshot(store: Store, own: readonly Service[]): () => Variables {
  const main = store.get("Service", "default/kubernetes");
  let made: Variables | undefined;
  return () => {
    made ??= variables(main ? [main, ...own] : own);
    return made;
  };
}

function variables(found: readonly Service[]): Variables {
  const services = new Map(found.map((service) => [service.metadata.name, service]));
  const env = new Map<string, string>();
  for (const name of [...services.keys()].sort()) {
    for (const [variable, value] of variablesOf(services.get(name) as Service)) env.set(variable, value);
  }
  return env;
}

/** `MY_NGINX_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_HTTP`, and what Docker's links once were called. */
function variablesOf(service: Service): ReadonlyMap<string, string> {
  const env = new Map<string, string>();
  const ip = service.spec.clusterIP;
  const ports = service.spec.ports ?? [];
  const first = ports[0];
  if (!ip || ip === "None" || !first) return env;
  const prefix = variableName(service.metadata.name);
  const host = ip.includes(":") ? `[${ip}]` : ip;
  env.set(`${prefix}_SERVICE_HOST`, ip);
  env.set(`${prefix}_SERVICE_PORT`, String(first.port));
  for (const port of ports) {
    if (port.name) env.set(`${prefix}_SERVICE_PORT_${variableName(port.name)}`, String(port.port));
  }
  for (const [index, port] of ports.entries()) {
    const protocol = port.protocol ?? "TCP";
    const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
    const link = `${prefix}_PORT_${port.port}_${protocol}`;
    if (index === 0) env.set(`${prefix}_PORT`, url);
    env.set(link, url);
    env.set(`${link}_PROTO`, protocol.toLowerCase());
    env.set(`${link}_PORT`, String(port.port));
    env.set(`${link}_ADDR`, ip);
  }
  return env;
}

function variableName(name: string): string {
  const upper = name.replace(/[.-]/g, "_").toUpperCase();
  return /^[0-9]/.test(upper) ? `_${upper}` : upper;
}
