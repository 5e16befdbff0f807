/** Owns the sockets of the userspace proxy: a client's connection is taken, and a second one is made (proxysocket.go). */
import { formatSocketAddress, type SocketAddress } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { PassesOn, TcpSocket, UdpSocket } from "../../net/socket";
import type { Time, Timer } from "../../sim/clock";
import { dialTimeouts, type RoundRobin } from "./roundrobin";

/** Who holds the sockets, for `ss -p`. */
export const proxyOwner = "kube-proxy";

/** The socket of one service port. */
export interface ProxySocket {
  readonly port: number;
  /** No new clients; connections of TCP live on, those of UDP end. */
  close(): void;
}

/** Clients that are being served, by their address: whom each speaks to. */
type Served = ReadonlyMap<string, { readonly endpoint: SocketAddress }>;

function passing(balancer: RoundRobin, served: Served): PassesOn {
  return {
    towards: ({ ip, port }) => served.get(formatSocketAddress(ip, port))?.endpoint,
    asked: (client, choose) => balancer.asked(client.ip, choose),
    taken: (client, tries) => (tries < dialTimeouts.length ? balancer.next(client.ip, tries > 0) : undefined),
  };
}

/** What a side of a spliced pair does with what the other says. */
interface Side {
  socket: TcpSocket | undefined;
  closed: boolean;
  /** Read before there was anybody to pass it to. */
  pending: string;
}

/**
 * Clients are taken one after another: while a dead endpoint is being tried the next client waits, as upstream's one
 * accept loop a service port has it.
 */
export function tcpProxySocket(netns: Netns, port: number, balancer: RoundRobin): ProxySocket {
  const waiting: (() => void)[] = [];
  let busy = false;
  const proceed = (): void => {
    const next = waiting.shift();
    busy = next !== undefined;
    next?.();
  };
  const served = new Map<string, { readonly endpoint: SocketAddress }>();
  const listener = netns.sockets.listenTcp({ port, owner: proxyOwner, passesOn: passing(balancer, served) }, () => {
    const client: Side = { socket: undefined, closed: false, pending: "" };
    const server: Side = { socket: undefined, closed: false, pending: "" };
    let name = "";
    const connected = (): void => {
      if (server.socket) served.set(name, { endpoint: server.socket.remote });
      proceed();
    };
    return {
      connected(socket) {
        client.socket = socket;
        name = formatSocketAddress(socket.remote.ip, socket.remote.port);
        waiting.push(() => dial(netns, balancer, client, server, 0, connected));
        if (!busy) proceed();
      },
      data: (_, text) => pass(text, client, server),
      ended: () => endBoth(client, server),
      closed: () => served.delete(name),
      failed() {
        served.delete(name);
        endBoth(client, server);
      },
    };
  });
  return { port, close: () => listener.close() };
}

/** Tries endpoints, each for longer than the one before; `done` when one is connected, or none could be. */
function dial(netns: Netns, balancer: RoundRobin, client: Side, server: Side, tries: number, done: () => void): void {
  const timeout = dialTimeouts[tries];
  const from = client.socket?.remote;
  const endpoint = timeout === undefined || !from ? undefined : balancer.next(from.ip, tries > 0);
  if (!endpoint || timeout === undefined) {
    endBoth(client, server);
    done();
    return;
  }
  let connected = false;
  netns.sockets.connectTcp(
    { ip: endpoint.ip, port: endpoint.port, owner: proxyOwner, timeout },
    {
      connected(socket) {
        connected = true;
        server.socket = socket;
        if (client.closed) endBoth(client, server);
        else if (client.pending !== "") pass("", client, server);
        done();
      },
      data: (_, text) => pass(text, server, client),
      ended: () => endBoth(client, server),
      failed() {
        if (connected) endBoth(client, server);
        else dial(netns, balancer, client, server, tries + 1, done);
      },
    },
  );
}

/** What one side has said goes to the other, or waits for it; after a close it is nobody's, and is answered with a reset. */
function pass(text: string, from: Side, to: Side): void {
  from.pending += text;
  if (from.closed) {
    from.socket?.abort();
    return;
  }
  if (!to.socket || to.closed) return;
  const all = from.pending;
  from.pending = "";
  to.socket.write(all);
}

/** When one side has said its last word, both sockets are closed whole (copyBytes): half-open connections do not survive. */
function endBoth(one: Side, other: Side): void {
  for (const side of [one, other]) {
    side.closed = true;
    // What was said and never read makes the kernel reset the connection (net/ipv4/tcp.c, tcp_close).
    if (side.pending === "") side.socket?.end();
    else side.socket?.abort();
  }
}

/** Every client of a UDP port has a socket of its own towards its endpoint, until nothing has passed for `idle`. */
export function udpProxySocket(netns: Netns, port: number, balancer: RoundRobin, idle: Time): ProxySocket {
  const { clock } = netns.network.sim;
  const clients = new Map<string, { readonly socket: UdpSocket; readonly endpoint: SocketAddress; timer: Timer }>();
  const forget = (name: string): void => {
    const found = clients.get(name);
    found?.timer.cancel();
    found?.socket.close();
    clients.delete(name);
  };
  const backend = (listener: UdpSocket, client: SocketAddress): UdpSocket | undefined => {
    const name = formatSocketAddress(client.ip, client.port);
    const known = clients.get(name);
    const touch = (): Timer => clock.after(idle, () => forget(name), "background");
    if (known) {
      known.timer.cancel();
      known.timer = touch();
      return known.socket;
    }
    const endpoint = balancer.next(client.ip, false);
    if (!endpoint) return undefined;
    const socket = netns.sockets.openUdp(
      { peer: endpoint, owner: proxyOwner },
      {
        received(_, { payload }) {
          const found = clients.get(name);
          if (!found) return;
          found.timer.cancel();
          found.timer = touch();
          listener.send(payload, client);
        },
        failed: () => forget(name),
      },
    );
    clients.set(name, { socket, endpoint, timer: touch() });
    return socket;
  };
  const listener = netns.sockets.openUdp(
    { port, owner: proxyOwner, passesOn: passing(balancer, clients) },
    { received: (socket, { payload, source }) => backend(socket, source)?.send(payload) },
  );
  return {
    port,
    close() {
      listener.close();
      for (const name of [...clients.keys()]) forget(name);
    },
  };
}
