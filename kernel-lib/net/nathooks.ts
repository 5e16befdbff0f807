/** Owns the two places where a namespace translates addresses, and the chains that are asked what to do there. */
import { type Family, type Ip, localhost } from "./address";
import type { Connection, Direction } from "./conntrack";
import { decide, describeNat, type Manipulation, type NatRequest, translate } from "./nat";
import { type Hook, priority, type Verdict } from "./netfilter";
import type { Netns } from "./netns";
import type { Packet } from "./packet";
import type { Passage } from "./passage";
import { trackConnections } from "./tracking";

/** A chain of iptables' nat table, or a base chain of nftables with `type nat`. */
export interface NatChain {
  readonly name: string;
  readonly hook: NatHook;
  /** Among the chains of one hook: lower is asked first. */
  readonly priority: number;
  run(passage: Passage): Verdict;
}

export type NatHook = Exclude<Hook, "forward">;

/** Where targets change, and where sources do; and when, among a hook's functions. */
const places: { readonly [Where in NatHook]: readonly [Manipulation, number] } = {
  prerouting: ["target", priority.dnat],
  output: ["target", priority.dnat],
  input: ["source", priority.snat],
  postrouting: ["source", priority.snat],
};

/**
 * NAT of one family in a namespace (net/netfilter/nf_nat_core.c, nf_nat_inet_fn). The chains of all tools are asked in
 * turn about a connection's first packet until one has decided; what is decided holds for all others.
 */
class NatHooks {
  readonly #netns: Netns;
  readonly #family: Family;
  readonly #chains = new Map<NatHook, NatChain[]>();

  constructor(netns: Netns, family: Family) {
    this.#netns = netns;
    this.#family = family;
  }

  /** Before those of the same priority (nf_hook_entries_grow). Gives back what takes the chain away again. */
  add(chain: NatChain): () => void {
    // With the first chain all four come (nf_nat_register_fn): what one decides, the others must undo in the replies.
    if (this.#chains.size === 0) for (const hook of Object.keys(places) as NatHook[]) this.#at(hook);
    const chains = this.#at(chain.hook);
    const at = chains.findIndex((other) => other.priority >= chain.priority);
    chains.splice(at < 0 ? chains.length : at, 0, chain);
    return () => {
      const index = chains.indexOf(chain);
      if (index >= 0) chains.splice(index, 1);
    };
  }

  #at(hook: NatHook): NatChain[] {
    const known = this.#chains.get(hook);
    if (known) return known;
    if (this.#chains.size === 0) trackConnections(this.#netns, this.#family);
    const chains: NatChain[] = [];
    this.#chains.set(hook, chains);
    const [manipulation, at] = places[hook];
    this.#netns.netfilter.add({
      name: `nat ${hook}`,
      hook,
      priority: at,
      family: this.#family,
      run: (passage) => this.#run(chains, manipulation, passage),
    });
    return chains;
  }

  #run(chains: readonly NatChain[], manipulation: Manipulation, passage: Passage): Verdict {
    const { connection, direction } = passage;
    if (!connection || !direction) return "accept";
    if (passage.state === "NEW" && isUndecided(connection, manipulation)) {
      for (const chain of chains) {
        const verdict = chain.run(passage);
        if (verdict !== "accept") return verdict;
        if (!isUndecided(connection, manipulation)) break;
      }
      if (isUndecided(connection, manipulation) && setUpNat(this.#netns, passage, manipulation, undefined) === "drop")
        return "drop";
    }
    const before = passage.packet;
    const after = translate(before, connection, direction, manipulation);
    if (after === before) return "accept";
    passage.packet = after;
    if (passage.watched) noteNat(passage, manipulation, before, direction);
    return "accept";
  }
}

function isUndecided({ targetNat, sourceNat }: Connection, manipulation: Manipulation): boolean {
  return (manipulation === "target" ? targetNat : sourceNat) === "undecided";
}

function noteNat(passage: Passage, manipulation: Manipulation, before: Packet, direction: Direction): void {
  const { packet } = passage;
  passage.note("nat", "nat", () => describeNat(manipulation, before, packet, direction), { before });
}

/** Decides what becomes of a connection's source or target; `drop` where that cannot be. */
export function setUpNat(
  netns: Netns,
  passage: Passage,
  manipulation: Manipulation,
  request: NatRequest | undefined,
): "accept" | "drop" {
  const { connection } = passage;
  if (!connection) return "drop";
  return decide(netns.conntrack, connection, manipulation, request, passage) ? "accept" : "drop";
}

/** Gives a connection the address of the device that it leaves by, towards its next hop (nf_nat_masquerade.c). */
export function masquerade(netns: Netns, passage: Passage, random: boolean): "accept" | "drop" {
  const { target } = passage.packet;
  const nextHop = netns.routes.lookup(target)?.nextHop ?? target;
  const device = netns.devices.get(passage.output ?? "");
  const ip = device && netns.sourceOn(device, nextHop);
  return ip === undefined ? "drop" : setUpNat(netns, passage, "source", { ip, random });
}

/** To this host: its own packets to 127.0.0.1, others to the address of the device they came in by (nf_nat_redirect.c). */
export function redirect(netns: Netns, passage: Passage, port: number | undefined): "accept" | "drop" {
  const kind = typeof passage.packet.target;
  const device = netns.devices.get(passage.input ?? "");
  const own = kind === "number" ? localhost : localhost6;
  const ip = passage.input === undefined ? own : device?.addresses.find((address) => typeof address.ip === kind)?.ip;
  if (ip === undefined) return "drop";
  return setUpNat(netns, passage, "target", port === undefined ? { ip } : { ip, port });
}

const localhost6: Ip = 1n;

const known = new WeakMap<Netns, Map<Family, NatHooks>>();

/** The NAT of a namespace; made when the first chain wants to be asked. */
export function natHooks(netns: Netns, family: Family): NatHooks {
  const ofNetns = known.get(netns) ?? new Map<Family, NatHooks>();
  known.set(netns, ofNetns);
  const hooks = ofNetns.get(family) ?? new NatHooks(netns, family);
  ofNetns.set(family, hooks);
  return hooks;
}
