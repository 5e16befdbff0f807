/** Judges what slices and Endpoints say of a pod through its whole life: ready, serving, terminating, and when it is gone. */
import { describe, expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";

interface Options {
  readonly pod?: object;
  readonly container?: object;
  readonly service?: object;
}

/** A pod `web` behind a Service, and what was said of it from its beginning on. */
async function site({ pod = {}, container = {}, service = {} }: Options = {}): Promise<Life> {
  const cluster = new Cluster({ nodes: 2, lb: "none", seed: 5 });
  await cluster.start();
  const spec = { selector: { app: "web" }, ports: [{ port: 80 }], ...service };
  cluster.api.create("Service", { metadata: { name: "web" }, spec });
  await cluster.advance("1s");
  const life = new Life(cluster);
  const containers = [{ name: "web", image: "nginx", ...container }];
  const made = { nodeName: "node-1", terminationGracePeriodSeconds: 5, containers, ...pod };
  cluster.api.create("Pod", { metadata: { name: "web", labels: { app: "web" } }, spec: made });
  await cluster.advance("30s");
  return life;
}

class Life {
  /** Each state once, in order: `ready serving`, `serving terminating`, `gone`. */
  readonly said: string[] = [];
  /** Of the old Endpoints: `ready`, `not ready`, `none`. */
  readonly old: string[] = [];

  constructor(readonly cluster: Cluster) {
    cluster.store.follow("EndpointSlice", ({ object }) => {
      if (object.metadata.labels?.["kubernetes.io/service-name"] !== "web") return;
      const [endpoint] = object.endpoints;
      const { ready, serving, terminating } = endpoint?.conditions ?? {};
      const words = [ready && "ready", serving && "serving", terminating && "terminating"].filter(Boolean).join(" ");
      note(this.said, endpoint ? words || "nothing" : "gone");
    });
    cluster.store.follow("Endpoints", ({ object, key }) => {
      if (key !== "default/web") return;
      const [subset] = object.subsets ?? [];
      note(this.old, subset?.addresses ? "ready" : subset?.notReadyAddresses ? "not ready" : "none");
    });
  }

  async run(line: string, wait = "40s"): Promise<void> {
    await this.cluster.session().type(line, () => {});
    await this.cluster.advance(wait);
  }
}

function note(list: string[], word: string): void {
  if (list.at(-1) !== word) list.push(word);
}

describe("the conditions of an endpoint", () => {
  it("start without anything, are ready when the pod is, and end serving", async () => {
    const lifecycle = { preStop: { sleep: { seconds: 3 } } };
    const life = await site({ container: { lifecycle, readinessProbe: { tcpSocket: { port: 80 } } } });
    await life.run("kubectl delete pod web");
    expect(life.said).toEqual(["nothing", "ready serving", "serving terminating", "gone"]);
    // Endpoints have no word for one that ends: it is left out at once.
    expect(life.old).toEqual(["not ready", "ready", "none"]);
  });

  it("do not serve while a readiness probe fails, also of a pod that ends", async () => {
    const readinessProbe = { exec: { command: ["test", "-e", "/tmp/well"] }, periodSeconds: 1, failureThreshold: 1 };
    const lifecycle = { preStop: { exec: { command: ["sh", "-c", "rm /tmp/well; sleep 4"] } } };
    const pod = { terminationGracePeriodSeconds: 20 };
    const life = await site({ pod, container: { readinessProbe, lifecycle } });
    expect(life.said).toEqual(["nothing"]);
    await life.run("kubectl exec web -- touch /tmp/well", "5s");
    await life.run("kubectl exec web -- rm /tmp/well", "5s");
    await life.run("kubectl exec web -- touch /tmp/well", "5s");
    expect(life.said).toEqual(["nothing", "ready serving", "nothing", "ready serving"]);
    await life.run("kubectl delete pod web");
    expect(life.said.slice(4)).toEqual(["serving terminating", "terminating", "gone"]);
  });

  it("never serve a pod that ends before it was ready", async () => {
    const readinessProbe = { exec: { command: ["false"] } };
    const lifecycle = { preStop: { sleep: { seconds: 3 } } };
    const life = await site({ container: { readinessProbe, lifecycle } });
    await life.run("kubectl delete pod web");
    expect(life.said).toEqual(["nothing", "terminating", "gone"]);
    expect(life.old).toEqual(["not ready", "none"]);
  });

  it("wait for readiness gates, which somebody else sets", async () => {
    const life = await site({ pod: { readinessGates: [{ conditionType: "example.net/in-rotation" }] } });
    expect(life.said).toEqual(["nothing"]);
    const set = (status: string): Promise<void> => {
      const conditions = [{ type: "example.net/in-rotation", status }];
      const patch = JSON.stringify({ status: { conditions } });
      return life.run(`kubectl patch pod web --subresource=status -p '${patch}'`, "5s");
    };
    await set("True");
    expect(life.said).toEqual(["nothing", "ready serving"]);
    await set("False");
    expect(life.said.at(-1)).toBe("nothing");
  });

  it("publish what is not ready where the Service says so, also at the end; serving stays as it is", async () => {
    const readinessProbe = { exec: { command: ["false"] } };
    const service = { publishNotReadyAddresses: true };
    const life = await site({
      service,
      container: { readinessProbe, lifecycle: { preStop: { sleep: { seconds: 3 } } } },
    });
    await life.run("kubectl delete pod web");
    expect(life.said).toEqual(["ready", "ready terminating", "gone"]);
    expect(life.old).toEqual(["ready", "none"]);
  });

  it.each([
    ["Succeeded", 0],
    ["Failed", 3],
  ])("are gone when the pod has %s, though it is still there", async (phase, code) => {
    const command = ["sh", "-c", `sleep 60; exit ${code}`];
    const life = await site({ pod: { restartPolicy: "Never" }, container: { image: "busybox", command } });
    // Without a probe it is ready as soon as it has an address.
    expect(life.said).toEqual(["ready serving"]);
    await life.cluster.advance("60s");
    expect(life.cluster.pod("web")?.status.phase).toBe(phase);
    expect(life.said.at(-1)).toBe("gone");
    expect(life.said).not.toContain("serving terminating");
  });

  it("are gone at once when a pod is deleted by force", async () => {
    const life = await site({ container: { lifecycle: { preStop: { sleep: { seconds: 4 } } } } });
    life.cluster.api.delete("Pod", "default", "web", { grace: 0 });
    await life.cluster.advance("100ms");
    expect(life.said).toEqual(["ready serving", "gone"]);
  });

  it("are not ready when the node is lost, and end with the pod without anybody there who could end it", async () => {
    const life = await site();
    life.cluster.powerOff("node-1");
    await life.cluster.advance("60s");
    expect(life.said.at(-1)).toBe("nothing");
    await life.cluster.advance("6m");
    // Evicted by taint, and nobody tells that it is over.
    expect(life.said.at(-1)).toBe("terminating");
    await life.run("kubectl delete pod web --force --grace-period=0", "5s");
    expect(life.said.at(-1)).toBe("gone");
  });
});
