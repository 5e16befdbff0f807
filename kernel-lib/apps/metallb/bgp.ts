/** Owns a speaker's BGP sessions: one with each peer that its node is meant for, and what is announced to each. */
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import type { Store } from "../../api/store";
import { parseIp } from "../../net/address";
import type { Program } from "../app";
import { bgpPort } from "../bgp/messages";
import { BgpSession } from "../bgp/session";
import type { Log } from "./host";
import { aggregate, bgpAdvertisementsOf, bgpPeersOf, type Pool } from "./pools";

interface Peering {
  readonly config: string;
  readonly address: string;
  readonly session: BgpSession;
}

/** What a session cannot announce, in MetalLB's words. */
export class BgpError extends Error {}

/** A prefix, and the peers it is meant for; none: all. */
interface Advertised {
  readonly prefix: string;
  readonly peers: readonly string[];
}

export class BgpAnnouncer {
  readonly #store: Store;
  readonly #program: Program;
  readonly #node: string;
  readonly #log: Log;
  readonly #peerings = new Map<string, Peering>();
  readonly #advertised = new Map<Key, readonly Advertised[]>();

  constructor(store: Store, program: Program, node: string, log: Log) {
    this.#store = store;
    this.#program = program;
    this.#node = node;
    this.#log = log;
  }

  /** Sessions with just those peers that are configured now; one whose configuration changed begins anew. */
  syncPeers(): void {
    const peers = new Map(bgpPeersOf(this.#store, this.#labels()).map((peer) => [keyOf(peer), peer]));
    for (const [key, { config, address, session }] of this.#peerings) {
      if (JSON.stringify(peers.get(key)?.spec) === config) continue;
      const why = { peer: address, reason: "removedFromConfig", msg: "peer deconfigured, closing BGP session" };
      this.#log("info", "bgp_controller.go:106", { event: "peerRemoved", ...why });
      session.close();
      this.#peerings.delete(key);
    }
    for (const [key, peer] of peers) if (!this.#peerings.has(key)) this.#open(key, peer);
    try {
      this.#publish();
    } catch (error) {
      if (!(error instanceof BgpError)) throw error;
      const msg = "failed to update peers";
      this.#log("error", "bgp_controller.go:142", { error: error.message, msg, op: "syncPeers" });
    }
  }

  #open(key: string, { spec }: Kinds["BGPPeer"]): void {
    const { peerAddress, peerASN, myASN, peerPort = bgpPort, holdTime = "90s" } = spec;
    const msg = "peer configured, starting BGP session";
    this.#log("info", "bgp_controller.go:214", { event: "peerAdded", msg, peer: peerAddress });
    const about = { localASN: myASN, peer: `${peerAddress}:${peerPort}`, peerASN };
    const session = new BgpSession({
      netns: this.#program.netns,
      peer: parseIp(peerAddress),
      ...{ port: peerPort, asn: myASN, peerAsn: peerASN, hold: secondsOf(holdTime), owner: "speaker" },
      changed: (up, error) => {
        if (this.#program.ended) return;
        if (up) this.#log("info", "native.go:97", { event: "sessionUp", msg: "BGP session established", ...about });
        else this.#log("error", "native.go:83", { error, msg: "failed to connect to peer", op: "connect", ...about });
      },
    });
    this.#peerings.set(key, { config: JSON.stringify(spec), address: peerAddress, session });
  }

  /**
   * Announces a Service's addresses by every advertisement of their pool; gives how to stop.
   * @throws BgpError if one of them is no IPv4 address: sessions of the native implementation carry no others, and whatever
   * was to be announced stays as it was, of all Services, until this one is announced anew (internal/bgp/native).
   */
  announce(service: Key, ips: readonly string[], pool: Pool): () => void {
    const advertisements = bgpAdvertisementsOf(this.#store, pool, this.#labels());
    const all = ips.flatMap((ip) =>
      advertisements.map(({ aggregationLength = 32, peers = [] }) => ({
        prefix: aggregate(ip, ip.includes(":") ? 128 : aggregationLength),
        peers,
      })),
    );
    this.#advertised.set(service, all);
    this.#publish();
    return () => {
      this.#advertised.delete(service);
      this.#publish();
    };
  }

  close(): void {
    for (const { session } of this.#peerings.values()) session.close();
    this.#peerings.clear();
  }

  /** @throws BgpError */
  #publish(): void {
    const all = [...this.#advertised.values()].flat();
    for (const [key, { session }] of this.#peerings) {
      const name = key.replace(/^.*\//, "");
      const meant = all.filter(({ peers }) => peers.length === 0 || peers.includes(name));
      const other = meant.find(({ prefix }) => prefix.includes(":"));
      if (other) throw new BgpError(`cannot advertise non-v4 prefix ${JSON.stringify(other.prefix)}`);
      session.set(new Set(meant.map(({ prefix }) => prefix)));
    }
  }

  #labels(): Readonly<Record<string, string>> {
    return this.#store.get("Node", this.#node)?.metadata.labels ?? {};
  }
}

/** `90s`, `1m30s`: Go's durations, as far as whole seconds. */
function secondsOf(text: string): number {
  const [, hours = "0", minutes = "0", seconds = "0"] = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text) ?? [];
  return (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds) || 90;
}
