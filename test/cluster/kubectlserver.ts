/** Owns a loopback API server for judges: as much of Kubernetes' REST API as a real kubectl asks for, over one cluster. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StatusError } from "../../kernel-lib/api/errors";
import {
  apiVersionOf,
  isServed,
  type Kind,
  type KubeObject,
  type Resource,
  resources,
} from "../../kernel-lib/api/kinds";
import type { PatchType } from "../../kernel-lib/api/rest";
import { parseTime } from "../../kernel-lib/api/time";
import type { Cluster } from "../../kernel-lib/cluster/cluster";
import { second } from "../../kernel-lib/sim/clock";
import { readProtobuf } from "./protobuf";

export interface LoopbackServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves a cluster's API on 127.0.0.1. Nothing of the cluster's time passes by itself. */
export async function serve(cluster: Cluster): Promise<LoopbackServer> {
  const server = createServer((request, response) => {
    answer(cluster, request, response).catch((error: unknown) => {
      const status =
        error instanceof StatusError
          ? error
          : new StatusError("InternalError", error instanceof Error ? String(error.stack) : "");
      send(response, status.code, status.toStatus());
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const body = Buffer.concat(parts);
  return body.length === 0 ? undefined : (readProtobuf(body) ?? JSON.parse(body.toString("utf8")));
}

type Served = readonly Resource[];

function versionsOf(served: Served): readonly string[] {
  return [...new Set(served.map(apiVersionOf))];
}

/** Discovery, `/version`, and as much of OpenAPI as tells kubectl that the server checks fields itself. */
function document(path: string, served: Served): object | undefined {
  const versions = versionsOf(served);
  if (path === "/version")
    return { major: "1", minor: "36", gitVersion: "v1.36.0", goVersion: "go1.25", platform: "linux/amd64" };
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
  if (path === "/apis") {
    const groups = versions
      .filter((version) => version !== "v1")
      .map((groupVersion) => {
        const [name = "", version = ""] = groupVersion.split("/");
        const each = { groupVersion, version };
        return { name, versions: [each], preferredVersion: each };
      });
    return { kind: "APIGroupList", apiVersion: "v1", groups };
  }
  const version = /^\/apis?\/(.+)$/.exec(path)?.[1];
  if (version !== undefined && versions.includes(version)) {
    return { kind: "APIResourceList", apiVersion: "v1", groupVersion: version, resources: listed(version, served) };
  }
  if (path === "/openapi/v3") {
    const entry = (each: string): [string, object] => [
      rootOf(each).slice(1),
      { serverRelativeURL: `/openapi/v3${rootOf(each)}` },
    ];
    return { paths: Object.fromEntries(versions.map(entry)) };
  }
  const described = versions.find((each) => path === `/openapi/v3${rootOf(each)}`);
  return described === undefined ? undefined : openApi(described, served);
}

function rootOf(version: string): string {
  return version === "v1" ? "/api/v1" : `/apis/${version}`;
}

const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

function listed(version: string, served: Served): readonly object[] {
  return served
    .filter((each) => apiVersionOf(each) === version)
    .flatMap((each) => {
      const one = {
        name: each.plural,
        singularName: each.singular,
        namespaced: each.namespaced,
        kind: each.kind,
        verbs,
        shortNames: each.shortNames,
        categories: each.categories,
      };
      const scale = {
        name: `${each.plural}/scale`,
        namespaced: true,
        group: "autoscaling",
        version: "v1",
        kind: "Scale",
        verbs: ["get", "patch", "update"],
      };
      const eviction = {
        name: "pods/eviction",
        singularName: "",
        namespaced: true,
        group: "policy",
        version: "v1",
        kind: "Eviction",
        verbs: ["create"],
      };
      if (each.kind === "Pod") return [one, eviction];
      return each.subresources.includes("scale") ? [one, scale] : [one];
    });
}

function openApi(version: string, served: Served): object {
  const own = served.filter((each) => apiVersionOf(each) === version);
  const parameters = [{ name: "fieldValidation", in: "query" }];
  const paths = own.map((each): [string, object] => {
    const gvk = { group: each.group, version: each.version, kind: each.kind };
    const space = each.namespaced ? "/namespaces/{namespace}" : "";
    return [
      `${rootOf(version)}${space}/${each.plural}/{name}`,
      { patch: { parameters, "x-kubernetes-group-version-kind": gvk } },
    ];
  });
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.36.0" }, paths: Object.fromEntries(paths) };
}

interface Asked {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

function readPath(path: string): Asked | undefined {
  const match =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/[^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
      path,
    );
  if (!match) return undefined;
  const [, group = "", namespace, plural, name, subresource] = match;
  const resource = resources.find((each) => each.group === group && each.plural === plural);
  return resource && { resource, namespace, name, subresource };
}

async function answer(cluster: Cluster, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://x");
  const served = resources.filter((each) => isServed(each, cluster.store));
  const found = document(url.pathname, served);
  if (found) return send(response, 200, found);
  // Kinds that the cluster has none of, but kubectl's describe asks for.
  if (/\/(resourcequotas|limitranges)$/.test(url.pathname)) {
    return send(response, 200, { kind: "List", apiVersion: "v1", metadata: {}, items: [] });
  }
  const asked = readPath(url.pathname);
  if (!asked)
    return send(
      response,
      404,
      new StatusError("NotFound", "the server could not find the requested resource").toStatus(),
    );
  const dryRun = url.searchParams.get("dryRun") === "All";
  const body = await bodyOf(request);
  const result = act(cluster, request.method ?? "GET", asked, url.searchParams, body, {
    dryRun,
    type: request.headers["content-type"] ?? "",
    table: (request.headers.accept ?? "").includes("as=Table"),
  });
  send(response, request.method === "POST" ? 201 : 200, result);
}

interface How {
  readonly dryRun: boolean;
  readonly type: string;
  readonly table: boolean;
}

const patchTypes: Readonly<Record<string, PatchType>> = {
  "application/json-patch+json": "json" as PatchType,
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
};

function act(cluster: Cluster, method: string, asked: Asked, query: URLSearchParams, body: unknown, how: How): object {
  const { api } = cluster;
  const { resource, namespace = "", name = "", subresource } = asked;
  const { kind } = resource;
  const options = {
    dryRun: how.dryRun,
    ...(resource.namespaced && { namespace }),
    by: query.get("fieldManager") ?? "kubectl",
  };
  if (subresource === "scale" && (kind === "Deployment" || kind === "ReplicaSet" || kind === "StatefulSet")) {
    if (method === "GET") return api.getScale(kind, namespace, name);
    return api.scale(kind, namespace, name, (body as { spec: { replicas: number } }).spec.replicas, options);
  }
  if (subresource === "eviction" && method === "POST") return evict(cluster, asked, body, how.dryRun);
  switch (method) {
    case "POST":
      return api.create(kind, body as object, options);
    case "PUT":
      return api.update(kind, body as object, options);
    case "PATCH":
      return api.patch(kind, namespace, name, patchTypes[how.type] ?? "merge", body, options);
    case "DELETE": {
      const given = (body ?? {}) as { propagationPolicy?: "Background"; gracePeriodSeconds?: number };
      return api.delete(kind, namespace, name, {
        ...options,
        ...(given.propagationPolicy && { propagation: given.propagationPolicy }),
        ...(given.gracePeriodSeconds !== undefined && { grace: given.gracePeriodSeconds }),
      });
    }
    default:
      return read(cluster, asked, query, how);
  }
}

function evict({ api }: Cluster, { namespace = "", name = "" }: Asked, body: unknown, dryRun: boolean): object {
  const { gracePeriodSeconds: grace, dryRun: asked = [] } =
    (body as { deleteOptions?: { gracePeriodSeconds?: number; dryRun?: readonly string[] } }).deleteOptions ?? {};
  api.evict(namespace, name, {
    ...(grace !== undefined && { grace }),
    dryRun: dryRun || asked.length > 0,
    by: "kubectl-drain",
  });
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
}

/** A drain looks every second whether a pod is gone: by the cluster's clock, too. */
function passTime(cluster: Cluster, { resource, name }: Asked, objects: readonly KubeObject[]): void {
  if (name === undefined || resource.kind !== "Pod") return;
  if (objects[0]?.metadata.deletionTimestamp !== undefined) cluster.sim.clock.advance(second);
}

function read(cluster: Cluster, asked: Asked, query: URLSearchParams, how: How): object {
  const { resource, namespace, name } = asked;
  const { api } = cluster;
  const { kind } = resource;
  const selectors = {
    ...(query.get("labelSelector") && { labelSelector: query.get("labelSelector") ?? "" }),
    ...(query.get("fieldSelector") && { fieldSelector: query.get("fieldSelector") ?? "" }),
  };
  const objects: readonly KubeObject[] =
    name === undefined
      ? api.list(kind, { ...(namespace !== undefined && { namespace }), ...selectors })
      : [api.get(kind, namespace ?? "", name)];
  passTime(cluster, asked, objects);
  if (how.table) return api.table(kind, objects as never);
  const shown = kind === "Event" ? objects.map((event) => shifted(cluster, event)) : objects;
  if (name !== undefined) return shown[0] as KubeObject;
  const metadata = { resourceVersion: String(cluster.store.version) };
  return { kind: `${kind}List`, apiVersion: apiVersionOf(resource), metadata, items: shown };
}

/** An event with its times moved to the real clock: kubectl counts their ages by that. */
function shifted(cluster: Cluster, event: KubeObject): KubeObject {
  const move = (time: string | undefined): string | undefined => {
    const at = parseTime(time ?? "");
    if (at === undefined) return undefined;
    // A third of a second past the whole age: kubectl may take its time and still counts the same seconds.
    const age = Math.floor((cluster.now - at) / 1_000_000) * 1000 + 300;
    return new Date(Date.now() - age).toISOString();
  };
  const { firstTimestamp, lastTimestamp } = event as unknown as Record<string, string>;
  return {
    ...event,
    firstTimestamp: move(firstTimestamp),
    lastTimestamp: move(lastTimestamp),
  } as unknown as KubeObject & { kind: Kind };
}
