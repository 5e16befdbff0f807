/** Owns whom a connection went to: the address that connection tracking chose for it, and the pod that had it then. */
import type { Kinds } from "../../api/kinds";
import { formatSocketAddress, type Ip, type SocketAddress, tryParseIp } from "../../net/address";
import type { Ground } from "../question";
import { whoAnswers } from "../request";

/** Who was at the other end, or was to be. */
export interface Answerer {
  readonly endpoint: string;
  /** `web-…`, or `shop/web-…` outside the namespace `default`; left out: it is no pod. */
  readonly pod?: string;
}

interface Chosen {
  readonly source: Ip;
  readonly to: SocketAddress;
}

/**
 * Listens to the connection tracking of every node (`conntrack -E -e NEW`) as long as the traffic lasts: afterwards
 * nothing would tell where a connection was sent that was refused.
 */
export class Answerers {
  readonly #ground: Ground;
  /** Which pod has an address: the one that got it last. */
  readonly #pods = new Map<Ip, string>();
  readonly #targets = new Map<Ip, number>();
  /** By the client's port. */
  readonly #chosen = new Map<number, Chosen>();
  readonly #following: { stop(): void }[] = [];

  constructor(ground: Ground) {
    this.#ground = ground;
    const { store, network } = ground;
    for (const pod of store.list("Pod")) this.#learn(pod);
    this.#following.push(store.follow("Pod", ({ object, type }) => type !== "DELETED" && this.#learn(object)));
    for (const { metadata } of store.list("Node")) {
      const conntrack = network.namespaces.isMade(metadata.name) && network.namespaces.get(metadata.name)?.conntrack;
      if (!conntrack) continue;
      const heard = conntrack.onEvent((event, { original, reply }) => {
        if (event !== "NEW" || this.#targets.get(original.target) !== original.targetPort) return;
        if (reply.source === original.target && reply.sourcePort === original.targetPort) return;
        const to = { ip: reply.source, port: reply.sourcePort };
        this.#chosen.set(original.sourcePort, { source: original.source, to });
      });
      this.#following.push(heard);
    }
  }

  /** Connections to this address are listened for from now on. */
  expect({ ip, port }: SocketAddress): void {
    this.#targets.set(ip, port);
  }

  /** Whom a connection of this client goes to. @param remote whom it was made to */
  of(local: SocketAddress, remote: SocketAddress): Answerer {
    const chosen = this.#chosen.get(local.port);
    const to = chosen?.source === local.ip ? chosen.to : remote;
    if (this.#pods.has(to.ip)) return this.#named(to);
    // A proxy between, which has a connection of its own to whoever answers.
    return this.#named(whoAnswers(this.#ground, local, remote));
  }

  stop(): void {
    for (const each of this.#following) each.stop();
  }

  #named({ ip, port }: SocketAddress): Answerer {
    const pod = this.#pods.get(ip);
    return { endpoint: formatSocketAddress(ip, port), ...(pod !== undefined && { pod }) };
  }

  #learn({ metadata, spec, status }: Kinds["Pod"]): void {
    if (spec.hostNetwork || status?.phase === "Succeeded" || status?.phase === "Failed") return;
    const { namespace = "default", name } = metadata;
    for (const { ip: text } of status?.podIPs ?? []) {
      const ip = tryParseIp(text ?? "");
      if (ip !== undefined) this.#pods.set(ip, namespace === "default" ? name : `${namespace}/${name}`);
    }
  }
}
