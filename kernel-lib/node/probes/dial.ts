/** Owns opening a connection from a node as Go's dialer does: a name looked up first, and failures in Go's words (net.OpError). */
import { lookupHost } from "../../apps/resolver";
import { formatIp, type Ip, tryParseIp } from "../../net/address";
import { type Failure, SocketError, type TcpHandlers, type TcpSocket } from "../../net/socket";
import { ephemeralPorts } from "../../net/sockets";
import type { Asker, Asking } from "./ask";

/** Where to; `host` is an address or a name. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** Whose sockets these are: `ss -p` shows it. */
const owner = "kubelet";

/**
 * Connects, and hands on what happens; `failed` is told Go's sentence without the `Get "…": ` in front.
 * @param handlers `connected` and what follows; its `failed` is called only once the connection stood
 */
export function dial(asker: Asker, target: Target, handlers: TcpHandlers, failed: (problem: string) => void): Asking {
  const ip = tryParseIp(target.host);
  if (ip !== undefined) return connect(asker, ip, target.port, handlers, failed);
  let running: Asking | undefined;
  const lookup = lookupHost({ ...asker, owner }, target.host, (found) => {
    if ("ip" in found) {
      running = connect(asker, tryParseIp(found.ip) as Ip, target.port, handlers, failed);
      return;
    }
    const server = /^\s*nameserver\s+(\S+)/m.exec(asker.files.read("/etc/resolv.conf") ?? "")?.[1] ?? "127.0.0.1";
    const why = found.problem === "Name or service not known" ? "no such host" : "server misbehaving";
    failed(`dial tcp: lookup ${target.host} on ${server}:53: ${why}`);
  });
  return {
    cancel() {
      lookup.cancel();
      running?.cancel();
    },
  };
}

const words: { readonly [E in Failure["errno"]]?: string } = {
  ECONNREFUSED: "connection refused",
  ETIMEDOUT: "connection timed out",
  ENETUNREACH: "network is unreachable",
  EHOSTUNREACH: "no route to host",
  ECONNRESET: "connection reset by peer",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
  EINVAL: "invalid argument",
};

/** An error number as Go says it (syscall.Errno). */
export function goErrno({ errno }: Failure): string {
  return words[errno] ?? errno;
}

/** `10.244.1.5:80`, `[fd00::5]:80` (net.JoinHostPort). */
export function hostPort({ host, port }: Target): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function connect(asker: Asker, ip: Ip, port: number, handlers: TcpHandlers, failed: (problem: string) => void): Asking {
  let stands = false;
  const told: TcpHandlers = {
    ...handlers,
    connected(socket) {
      stands = true;
      handlers.connected?.(socket);
    },
    failed(socket, failure) {
      if (stands) handlers.failed?.(socket, failure);
      else failed(`dial tcp ${hostPort({ host: formatIp(ip), port })}: connect: ${goErrno(failure)}`);
    },
  };
  const socket = open(asker, ip, port, told);
  return { cancel: () => socket.abort() };
}

/** From a port of the asker's own choice; one that this very connection still has (TIME-WAIT) is passed over. */
function open(asker: Asker, ip: Ip, port: number, handlers: TcpHandlers): TcpSocket {
  const { low, high } = ephemeralPorts;
  for (let tries = 0; ; tries++) {
    const sourcePort = low + 2 * asker.random.integer(0, (high - low - 1) / 2);
    try {
      return asker.netns.sockets.connectTcp({ ip, port, owner, sourcePort, background: true }, handlers);
    } catch (error) {
      if (!(error instanceof SocketError) || error.errno !== "EADDRINUSE" || tries >= maxTries) throw error;
    }
  }
}

const maxTries = 20;
