/** Owns the simulator's side: a topology as simulated namespaces, and each change and question as calls of them. */

import { anyIpv4, anyIpv6, type Cidr, formatIp, type Ip, parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import type { Network } from "../../kernel-lib/net/network";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { parseRules } from "../../kernel-lib/net/ruleparse";
import type { EchoResult, Failure } from "../../kernel-lib/net/socket";
import { second } from "../../kernel-lib/sim/clock";
import { buildNetwork, machineIn, restoreTunnel } from "./simulatorbuild";
import { addressOf, machineOf, type Topology, type Version, withNames } from "./topology";
import { type Ask, neighbourWords, patience, type Step, servedTcp, servedUdp, type World } from "./world";

/** Builds the topology anew, with one address family only, as the kernel's side does. */
export function buildSimulator(topology: Topology, version: Version, options: { readonly rules: boolean }): Simulated {
  return new Simulated(topology, version, buildNetwork(topology, version, options));
}

/** A simulated topology. */
export class Simulated implements World {
  constructor(
    readonly topology: Topology,
    readonly version: Version,
    readonly network: Network,
  ) {}

  async change(step: Step): Promise<void> {
    const netns = machineIn(this.network, step.at);
    switch (step.step) {
      case "serve":
        this.#serve(netns);
        return;
      case "link":
        netns.device(step.device).up = step.up;
        return;
      case "add route":
        netns.routes.add({
          to: this.#prefix(step.to),
          ...(step.type === undefined ? {} : { type: step.type }),
          ...(step.device === undefined ? {} : { device: step.device }),
          ...(step.via === undefined ? {} : { via: parseIp(step.via) }),
          ...(step.onlink ? { onlink: true } : {}),
        });
        return;
      case "delete route":
        if (!netns.routes.delete(this.#prefix(step.to))) throw new Error(`${step.at} has no route to ${step.to}`);
        return;
      case "delete neighbour":
        if (!netns.neighbors.delete(step.device, this.#ip(step.ip))) throw new Error(`${step.at}: no ${step.ip}`);
        return;
      case "forget neighbours":
        netns.neighbors.flush();
        return;
      case "clear fdb": {
        const { link } = netns.device(step.device);
        if (link.type === "vxlan") link.fdb.clear();
        else if (link.type === "bridge") link.flush();
        else throw new Error(`${step.device} has no FDB`);
        return;
      }
      case "wait":
        this.network.sim.clock.advance(step.seconds * second);
        return;
      case "rp_filter":
      case "redirects":
        return;
      case "restore tunnel":
        restoreTunnel(netns, machineOf(this.topology, step.at), step.device, this.version);
        return;
      case "forwarding":
        netns.sysctl[this.version === 4 ? "ipForward" : "ipv6Forward"] = step.on;
        return;
      case "bridge-nf-call-iptables":
        netns.sysctl[this.version === 4 ? "bridgeNfCallIptables" : "bridgeNfCallIp6tables"] = step.on;
        return;
      case "hairpin":
        netns.device(step.device).hairpin = step.on;
        return;
      case "mtu":
        netns.device(step.device).mtu = step.mtu;
        return;
      case "add address":
        netns.addAddress(step.device, parseCidr(step.address));
        return;
      case "delete address":
        netns.deleteAddress(step.device, parseCidr(step.address));
        return;
      case "rule":
      case "delete rule": {
        const [rule] = parseRules(`*filter\n:X - [0:0]\n-A X ${step.rule}\nCOMMIT\n`).filter?.X ?? [];
        if (!rule) throw new Error(`no rule: ${step.rule}`);
        const iptables = this.version === 4 ? netns.iptables : netns.ip6tables;
        if (step.step === "rule") iptables.insert("filter", step.chain, rule, 1);
        else if (!iptables.delete("filter", step.chain, rule)) throw new Error(`no such rule: ${step.rule}`);
        return;
      }
    }
  }

  async ask(asks: readonly Ask[]): Promise<readonly string[]> {
    const { clock } = this.network.sim;
    const began = clock.now;
    const open = new Set(asks.map((ask) => this.#begin(ask)));
    const questions = [...open];
    while (open.size > 0) {
      for (const question of open) {
        if (question.answer() === undefined && clock.now - began < question.seconds * second) continue;
        question.answer = constant(question.answer() ?? question.given());
        question.end?.();
        open.delete(question);
      }
      if (open.size > 0) clock.advance(second / 100);
    }
    return questions.map(({ answer }) => withNames(this.topology, answer() ?? ""));
  }

  stop(): void {}

  #begin(ask: Ask): Question {
    switch (ask.ask) {
      case "tcp":
        return this.#tcp(ask);
      case "udp":
        return this.#udp(ask);
      case "ping":
        return this.#ping(ask);
      case "hops":
        return this.#hops(ask);
      case "route":
        return known(this.#route(ask.at, this.#ip(ask.to)));
      case "neighbours":
        return known(this.#neighbours(ask));
      case "mtu":
        return known(String(machineIn(this.network, ask.at).device(ask.device).mtu));
      case "learnt":
        return known(this.#learnt(ask.at, ask.device));
      case "connections":
        return known(this.#connections(ask.at, ask.port));
    }
  }

  #prefix(to: string): Cidr {
    return parseCidr(to.includes("/") ? to : addressOf(this.topology, to, this.version));
  }

  #ip(name: string): Ip {
    return parseIp(addressOf(this.topology, name, this.version));
  }

  #serve(netns: Netns): void {
    const ip = this.version === 4 ? anyIpv4 : anyIpv6;
    netns.sockets.listenTcp({ ip, port: servedTcp }, () => ({
      connected(socket) {
        socket.write(`${netns.name} saw ${formatIp(socket.remote.ip)}`);
        socket.end();
      },
    }));
    let ttl = 0;
    this.network.sim.journal.follow(({ detail }) => {
      const event = detail as Partial<PacketEvent>;
      if (event.kind === "deliver" && event.netns === netns.name) ttl = event.packet?.ttl ?? 0;
    });
    netns.sockets.openUdp(
      { ip, port: servedUdp },
      {
        received(socket, { payload, source }) {
          const size = typeof payload === "string" ? payload.length : payload.size;
          socket.send(`${netns.name} saw ${formatIp(source.ip)}, ttl ${ttl}, ${size} octets`, source);
        },
      },
    );
  }

  #tcp({ from, to, port = servedTcp }: Ask & { ask: "tcp" }): Question {
    let text = "";
    let outcome: string | undefined;
    const { sockets } = machineIn(this.network, from);
    const socket = sockets.connectTcp(
      { ip: this.#ip(to), port },
      {
        data: (_, more) => {
          text += more;
        },
        closed: () => {
          outcome = text;
        },
        failed: (_, failure) => {
          outcome = failureWords(failure);
        },
      },
    );
    return { seconds: patience, answer: () => outcome, given: () => "timeout", end: () => outcome ?? socket.abort() };
  }

  #udp({ from, to, port = servedUdp, size = 3 }: Ask & { ask: "udp" }): Question {
    let outcome: string | undefined;
    const socket = machineIn(this.network, from).sockets.openUdp(
      { peer: { ip: this.#ip(to), port } },
      {
        received: (_, { payload }) => {
          outcome = typeof payload === "string" ? payload : payload.type;
        },
        failed: (_, failure) => {
          outcome = failureWords(failure);
        },
      },
    );
    socket.send("x".repeat(size));
    return { seconds: patience, answer: () => outcome, given: () => "timeout", end: () => socket.close() };
  }

  #ping({ from, to, size = 56, dontFragment }: Ask & { ask: "ping" }): Question {
    const ip = this.#ip(to);
    let outcome: string | undefined;
    const socket = machineIn(this.network, from).sockets.openEcho(ip, (heard) => {
      if (heard.result === "reply") outcome ??= `${formatIp(heard.from)}, ttl ${heard.ttl}`;
      else if (heard.type === "message-too-long") outcome ??= `message too long, mtu ${heard.mtu}`;
      else outcome ??= `${formatIp(heard.from)} says ${errorWords(heard.type, heard.mtu)}`;
    });
    if (!socket.send(1, { size, pathMtu: dontFragment ? "do" : "dont" })) outcome ??= this.#route(from, ip);
    return { seconds: patience, answer: () => outcome, given: () => "nothing", end: () => socket.close() };
  }

  /** As traceroute does, all at once; what comes after the first answer of the target itself does not count. */
  #hops({ from, to }: Ask & { ask: "hops" }): Question {
    const heard = new Map<number, EchoResult>();
    const socket = machineIn(this.network, from).sockets.openEcho(this.#ip(to), (result) => {
      heard.set(result.sequence, result);
    });
    const most = 6;
    for (let ttl = 1; ttl <= most; ttl++) socket.send(ttl, { ttl });
    const words = (): string => {
      const hops: string[] = [];
      for (let ttl = 1; ttl <= most; ttl++) {
        const result = heard.get(ttl);
        hops.push(result === undefined ? "*" : formatIp(result.from));
        if (result && (result.result === "reply" || result.type !== "time-exceeded")) break;
      }
      return hops.join(" > ");
    };
    return {
      seconds: 1,
      answer: () => (heard.size === most ? words() : undefined),
      given: words,
      end: () => socket.close(),
    };
  }

  #route(at: string, ip: Ip): string {
    const netns = machineIn(this.network, at);
    const plain = netns.routes.lookup(ip);
    if (!plain) return "network is unreachable";
    if (plain.route.type === "blackhole") return "blackhole";
    if (plain.route.type === "local") return "local";
    const found = netns.routeGet(ip);
    const via = plain.route.via === undefined ? "" : `via ${formatIp(plain.route.via)} `;
    return `${via}dev ${plain.device} src ${found?.source === undefined ? "nothing" : formatIp(found.source)}`;
  }

  #neighbours({ at, device, exact }: Ask & { ask: "neighbours" }): string {
    const entries = machineIn(this.network, at).neighbors.list();
    const lines = entries
      .filter((entry) => entry.device === device)
      .flatMap(({ ip, state }) => neighbourWords(formatIp(ip), state, exact) ?? []);
    return lines
      .map((line) => withNames(this.topology, line))
      .sort()
      .join(", ");
  }

  #learnt(at: string, device: string): string {
    const bridge = machineIn(this.network, at).device(device);
    if (bridge.link.type !== "bridge") throw new Error(`${device} is no bridge`);
    const owners = new Map(
      this.topology.machines.flatMap(({ name, devices }) => devices.map(({ mac }) => [mac, name] as const)),
    );
    const entries = bridge.link.entries(bridge).filter(({ local, permanent }) => !local && !permanent);
    return entries
      .map(({ mac, port }) => `${owners.get(mac) ?? mac} behind ${port.name}`)
      .sort()
      .join(", ");
  }

  #connections(at: string, port: number): string {
    const found = machineIn(this.network, at)
      .conntrack.list()
      .filter(({ original }) => original.targetPort === port);
    return found
      .map(({ original, reply }) => {
        const asked = `${original.protocol} ${formatIp(original.source)} > ${formatIp(original.target)} ${port}`;
        return `${asked}, answered ${formatIp(reply.source)} ${reply.sourcePort} > ${formatIp(reply.target)}`;
      })
      .sort()
      .join("; ");
  }
}

/** A question that is under way. */
interface Question {
  /** How long it waits. */
  readonly seconds: number;
  answer: () => string | undefined;
  /** What it comes to if there is no answer by then. */
  readonly given: () => string;
  readonly end?: () => void;
}

function constant(text: string): () => string {
  return () => text;
}

/** One that needs no packet. */
function known(text: string): Question {
  return { seconds: 0, answer: () => text, given: () => text };
}

/** The two families have different names for the same news. */
function errorWords(type: string, mtu: number | undefined): string {
  return type === "fragmentation-needed" || type === "packet-too-big" ? `too big, mtu ${mtu}` : type;
}

function failureWords({ outcome, errno }: Failure): string {
  switch (errno) {
    case "ECONNREFUSED":
      return "refused";
    case "EHOSTUNREACH":
      return "no route to host";
    case "ENETUNREACH":
      return "network is unreachable";
    default:
      return outcome;
  }
}
