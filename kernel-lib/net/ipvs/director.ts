/** Owns what IPVS does with packets: to a real server, and back to the client (net/netfilter/ipvs/ip_vs_core.c, ip_vs_xmit.c). */
import { formatSocketAddress, type Ip } from "../address";
import { inverse, tupleOf } from "../conntrack";
import { leave } from "../leave";
import { type HookFunction, priority, type Verdict } from "../netfilter";
import type { Netns } from "../netns";
import { type Packet, packetSize } from "../packet";
import type { ConnectionEnd, Passage } from "../passage";
import { describeRoute } from "../route";
import { type IpvsConnection, isActive, nextState } from "./connection";
import type { Ipvs } from "./ipvs";
import { answered, asked, causeAnswered, causeAsked } from "./rewrite";
import type { RealServer, VirtualServer } from "./server";
import { describeServer, serverNumber, serverRule } from "./text";

/**
 * ```
 * client ─► prerouting ─► input ──ip_vs_in──► output ─► postrouting ─► real server
 *                                     (own packets: output ──ip_vs_in──► output ─► postrouting)
 * real server ─► prerouting ─► forward ──ip_vs_out──► postrouting ─► client
 * ```
 * So an address of a virtual server must be the host's own, or its packets would never come to `input`: kube-ipvs0.
 * Packets are translated here, connection tracking is only told.
 */
export class Director {
  readonly #netns: Netns;
  readonly #ipvs: Ipvs;

  constructor(netns: Netns, ipvs: Ipvs) {
    this.#netns = netns;
    this.#ipvs = ipvs;
  }

  /** The places and priorities of ip_vs_ops4 and ip_vs_ops6; they are there from the first virtual server on. */
  hook(): void {
    const out = (hook: HookFunction["hook"], at: number): HookFunction => ({
      name: "ip_vs_out",
      hook,
      priority: at,
      run: (passage) => this.#out(passage),
    });
    const into = (hook: HookFunction["hook"], at: number): HookFunction => ({
      name: "ip_vs_in",
      hook,
      priority: at,
      run: (passage) => this.#in(passage, hook === "input"),
    });
    const { netfilter } = this.#netns;
    const all = [
      out("input", priority.snat - 2),
      into("input", priority.snat - 1),
      out("output", priority.dnat + 1),
      into("output", priority.dnat + 2),
      out("forward", priority.snat),
    ];
    for (const each of all) netfilter.add(each);
  }

  /** A packet of a client. `remote`: it came from elsewhere, not from a socket of this host. */
  #in(passage: Passage, remote: boolean): Verdict {
    if (passage.ipvs || this.#ipvs.empty) return "accept";
    const { packet } = passage;
    const { body } = packet;
    if (body.protocol === "icmp") return "cause" in body ? this.#errorIn(passage, body.cause, remote) : "accept";
    if (passage.walked) passage.walked.lookups++;
    let connection = this.#current(this.#ipvs.connections.asked(tupleOf(packet)), passage);
    if (connection === "drop") return "drop";
    if (!connection) {
      const service = this.#ipvs.get({ protocol: body.protocol, ip: packet.target, port: body.targetPort });
      if (passage.walked) passage.walked.lookups++;
      if (!service || (body.protocol === "tcp" && body.flags !== "S")) return "accept";
      connection = this.#schedule(service, passage);
      if (!connection) {
        passage.why = `IPVS: no destination available for ${describeServer(service)}`;
        passage.rejectWith = "port-unreachable";
        return "reject";
      }
    }
    if (!passage.dry) this.#seen(connection, packet, "in");
    return this.#send(passage, connection, asked(packet, connection), remote);
  }

  /** An existing connection that may go on; undefined where the packet begins another one (ip_vs_in_hook). */
  #current(connection: IpvsConnection | undefined, passage: Passage): IpvsConnection | "drop" | undefined {
    if (!connection) return undefined;
    const { sysctl } = this.#netns;
    const { body } = passage.packet;
    const again = body.protocol === "tcp" && body.flags === "S" && sysctl.vsConnReuse && isReusable(connection);
    const quiescent = connection.server.weight === 0 && sysctl.vsExpireNodestConn;
    const begun = body.protocol === "tcp" && body.flags === "S" && sysctl.vsConnReuse && quiescent;
    const gone = !connection.server.available;
    if (!again && !begun && !gone) return connection;
    if (gone && !sysctl.vsExpireNodestConn && !again) {
      passage.why = "IPVS: the real server of this connection is gone";
      return "drop";
    }
    const confirmed = passage.connection?.confirmed ?? false;
    if (!passage.dry) this.#ipvs.connections.expire(connection);
    // Connection tracking still has the old real server in its entry: the client has to send again.
    if (confirmed && sysctl.vsConntrack) {
      passage.why = "IPVS: the real server of this connection is gone, its connection tracking entry too";
      return "drop";
    }
    return undefined;
  }

  /** A real server for a new connection, by the client's template or by the scheduler. */
  #schedule(service: VirtualServer, passage: Passage): IpvsConnection | undefined {
    const { packet } = passage;
    const { body } = packet;
    if (body.protocol === "icmp") return undefined;
    const template = service.persistence === undefined ? undefined : this.#template(service, packet.source);
    const server = template?.server ?? this.#pick(service, passage);
    if (!server) return undefined;
    if (passage.watched) this.#noteChoice(service, server, template, passage);
    const make = (control: IpvsConnection | undefined): IpvsConnection =>
      newConnection(service, server, packet.source, body.sourcePort, control);
    if (passage.dry) return make(undefined);
    let control = template;
    if (service.persistence !== undefined) {
      if (control) this.#ipvs.connections.touch(control);
      else {
        control = newConnection(service, server, packet.source, 0, undefined);
        this.#ipvs.connections.add(control);
      }
    }
    const made = make(control);
    this.#ipvs.connections.add(made);
    for (const stats of [service.stats, server.stats])
      stats.count(this.#netns.network.sim.clock.now, { connections: 1 });
    passage.began?.((end) => this.#conclude(made, end));
    return made;
  }

  #template(service: VirtualServer, client: Ip): IpvsConnection | undefined {
    const { protocol, ip, port } = service;
    const found = this.#ipvs.connections.asked({
      protocol,
      source: client,
      sourcePort: 0,
      target: ip,
      targetPort: port,
    });
    if (!found?.server.available) return undefined;
    return found.server.weight === 0 && this.#netns.sysctl.vsExpireQuiescentTemplate ? undefined : found;
  }

  /** Where only a question is asked, nothing moves on: then it is any of them, by its share in the long run. */
  #pick(service: VirtualServer, passage: Passage): RealServer | undefined {
    const { schedule, servers } = service;
    if (!passage.dry || schedule.fixed) return schedule.pick(passage.packet);
    const shares = schedule.shares();
    return shares.some((share) => share > 0) ? servers[passage.choose(shares)] : undefined;
  }

  #noteChoice(
    service: VirtualServer,
    server: RealServer,
    template: IpvsConnection | undefined,
    passage: Passage,
  ): void {
    const how = template
      ? "persistent: the client's last real server"
      : passage.dry && !service.schedule.fixed
        ? `${service.scheduler}: any of them, by its share in the long run`
        : `${service.scheduler}: its choice`;
    const rule = {
      table: "ipvs",
      chain: `${describeServer(service)} ${service.scheduler}`,
      number: serverNumber(service, server),
      text: serverRule(service, server),
      tool: "ipvs",
      effect: { does: "dnat" },
    } as const;
    passage.note("rule", `ipvs/${rule.chain}`, () => `${rule.text} (${how})`, { rule });
  }

  /** The packets that a flow-level run leaves out. */
  #conclude(connection: IpvsConnection, end: ConnectionEnd): void {
    if (connection.protocol !== "tcp") return;
    const state = end === "established" ? "ESTABLISHED" : end === "closed" ? "TIME_WAIT" : "CLOSE";
    this.#ipvs.connections.moveTo(connection, state);
    this.#ipvs.connections.touch(connection);
  }

  #seen(connection: IpvsConnection, packet: Packet, way: "in" | "out"): void {
    const { body } = packet;
    if (body.protocol === "tcp")
      this.#ipvs.connections.moveTo(connection, nextState(connection.state, body.flags, way));
    this.#ipvs.connections.touch(connection);
    const bytes = packetSize(packet);
    const more = way === "in" ? { inPackets: 1, inBytes: bytes } : { outPackets: 1, outBytes: bytes };
    const { protocol, virtualIp: ip, virtualPort: port, server } = connection;
    if (!server.available) return;
    server.stats.count(this.#netns.network.sim.clock.now, more);
    this.#ipvs.get({ protocol, ip, port })?.stats.count(this.#netns.network.sim.clock.now, more);
  }

  /** To its real server: through output, as a packet of this host's own (ip_vs_xmit.c, ip_vs_nat_xmit). */
  #send(passage: Passage, connection: IpvsConnection, after: Packet, remote: boolean): Verdict {
    const netns = this.#netns;
    const before = passage.packet;
    passage.packet = after;
    passage.ipvs = connection;
    this.#tellConntrack(passage, connection);
    if (passage.watched) {
      const to = formatSocketAddress(connection.server.ip, connection.server.port);
      const was = formatSocketAddress(connection.virtualIp, connection.virtualPort);
      passage.note("nat", "ipvs", () => `IPVS: destination ${was} → ${to}`, { before });
    }
    if (netns.routes.isLocal(after.target)) return "accept";
    const route = netns.routes.lookup(after.target);
    if (!route || netns.routeFailure(after.target)) {
      netns.unreachable(passage, "net-unreachable", "ipvs");
      return "stolen";
    }
    if (remote) {
      if (after.ttl <= 1) {
        netns.unreachable(passage, "time-exceeded", "ipvs");
        return "stolen";
      }
      passage.packet = { ...after, ttl: after.ttl - 1 };
    }
    if (passage.watched) passage.note("route", route.device, () => describeRoute(route));
    passage.output = route.device;
    if (netns.hook("output", passage)) leave(netns, passage, route);
    return "stolen";
  }

  /** So that replies of the real server belong to the connection, and rules may masquerade it (ip_vs_nfct.c). */
  #tellConntrack(passage: Passage, { server }: IpvsConnection): void {
    if (!this.#netns.sysctl.vsConntrack) {
      // ip_vs_notrack: from here on it belongs to no connection, so no rule of nat sees it.
      delete passage.connection;
      delete passage.direction;
      delete passage.state;
      return;
    }
    const { connection } = passage;
    if (!connection || connection.confirmed || passage.direction !== "original") return;
    connection.reply = { ...connection.reply, source: server.ip, sourcePort: server.port };
  }

  /** A packet of a real server: it must look as if the virtual server had sent it. */
  #out(passage: Passage): Verdict {
    if (passage.ipvs || this.#ipvs.connections.size === 0) return "accept";
    const { packet } = passage;
    const { body } = packet;
    if (body.protocol === "icmp") {
      if (!("cause" in body)) return "accept";
      const connection = this.#ipvs.connections.answered(inverse(tupleOf(body.cause)));
      if (connection) this.#rewritten(passage, connection, causeAnswered(packet, body, connection));
      return "accept";
    }
    if (passage.walked) passage.walked.lookups++;
    const connection = this.#ipvs.connections.answered(tupleOf(packet));
    if (!connection) return "accept";
    if (!passage.dry) this.#seen(connection, packet, "out");
    this.#rewritten(passage, connection, answered(packet, connection));
    return "accept";
  }

  #rewritten(passage: Passage, connection: IpvsConnection, after: Packet): void {
    const before = passage.packet;
    passage.packet = after;
    passage.ipvs = connection;
    if (!this.#netns.sysctl.vsConntrack) delete passage.connection;
    if (!passage.watched) return;
    const was = formatSocketAddress(connection.server.ip, connection.server.port);
    const now = formatSocketAddress(connection.virtualIp, connection.virtualPort);
    passage.note("nat", "ipvs", () => `IPVS: reply translated back: source ${was} → ${now}`, { before });
  }

  /** An ICMP error about a reply: it is the real server's that must hear of it. */
  #errorIn(passage: Passage, cause: Packet, remote: boolean): Verdict {
    const { packet } = passage;
    const connection = this.#ipvs.connections.asked(inverse(tupleOf(cause)));
    if (!connection || packet.body.protocol !== "icmp" || !("cause" in packet.body)) return "accept";
    return this.#send(passage, connection, causeAsked(packet, packet.body, connection), remote);
  }
}

/** Whether a SYN on these ports means another connection (is_new_conn_expected). */
function isReusable({ state }: IpvsConnection): boolean {
  return state === "TIME_WAIT" || state === "CLOSE";
}

function newConnection(
  service: VirtualServer,
  server: RealServer,
  clientIp: Ip,
  clientPort: number,
  control: IpvsConnection | undefined,
): IpvsConnection {
  const template = clientPort === 0 && service.persistence !== undefined;
  const state = template || service.protocol === "tcp" ? "NONE" : service.protocol === "udp" ? "UDP" : "INIT1";
  return {
    protocol: service.protocol,
    clientIp,
    clientPort,
    virtualIp: service.ip,
    virtualPort: service.port,
    server,
    template,
    persistence: service.persistence ?? 0,
    state,
    inactive: !isActive(state),
    expires: 0,
    timer: undefined,
    timerAt: 0,
    control,
    controlled: 0,
  };
}
