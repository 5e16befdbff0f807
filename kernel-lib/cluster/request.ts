/** Owns one request as a client program makes it: connect, ask, read the answer, close; and who really answered. */
import { formatRequest, type Headers, HttpReader } from "../apps/http";
import { formatIp, formatSocketAddress, type Ip, type SocketAddress } from "../net/address";
import type { Failure, TcpSocket } from "../net/socket";
import { second, type Time } from "../sim/clock";
import type { Process } from "./driver";
import { type Asked, type Ground, nameOf } from "./question";

/** How a request ended. */
export interface RequestOutcome {
  /** When it began, and how long it took, in microseconds of virtual time. */
  readonly at: Time;
  readonly took: Time;
  /** "answered", or how the connection failed. */
  readonly result: "answered" | Failure["outcome"];
  /** What an ICMP error said. */
  readonly error?: string;
  /** The status of the HTTP answer; none where something else than HTTP was spoken. */
  readonly status?: number;
  readonly body?: string;
  /** Who answered, after all translation: `10.244.1.3:80`. */
  readonly endpoint?: string;
  /** The same by name: `pod/my-nginx-…`. */
  readonly name?: string;
}

/** As long as curl would be willing to wait for a connection and its answer here. */
export const patience: Time = 10 * second;

const headers: Headers = [
  ["User-Agent", "kubebook"],
  ["Accept", "*/*"],
  ["Connection", "close"],
];

/** Makes one HTTP request over a connection of its own, really sent. */
export async function request(
  ground: Ground,
  process: Process,
  asked: Asked,
  name: (ip: Ip) => string = (ip) => nameOf(ground, ip) ?? formatIp(ip),
): Promise<RequestOutcome> {
  const { clock } = ground.network.sim;
  const began = clock.now;
  let outcome: Omit<RequestOutcome, "at" | "took"> = { result: "timeout" };
  const reader = HttpReader.responses();
  const host = formatSocketAddress(asked.ip, asked.port);
  const answerer = (local: SocketAddress) => named(whoAnswers(ground, local, asked), name);
  let heard = "";
  const take = (connection: TcpSocket, last: boolean): void => {
    const answer = "HTTP/".startsWith(heard.slice(0, 5)) ? reader.next(last) : "bad";
    if (!answer || outcome.result === "answered") return;
    // A proxy between may have tried others before.
    const by = answerer(connection.local);
    if (answer !== "bad") outcome = { result: "answered", ...by, status: answer.status, body: answer.body };
    else {
      // A server of another protocol: it was reached, and has said so in its own words.
      outcome = { result: "answered", ...by, body: heard };
      connection.end();
    }
  };
  await process.pause((wake) => {
    const socket = asked.netns.sockets.connectTcp(
      { ip: asked.ip, port: asked.port, owner: "client", timeout: patience },
      {
        connected(connection) {
          outcome = { result: "timeout", ...answerer(connection.local) };
          connection.write(
            formatRequest({ method: "GET", target: "/", headers: [["Host", host], ...headers], body: "" }),
          );
        },
        data(connection, text) {
          heard += text;
          reader.feed(text);
          take(connection, false);
        },
        ended(connection) {
          take(connection, true);
          connection.end();
        },
        closed: wake,
        failed(_, failure) {
          if (outcome.result !== "answered") outcome = { ...outcome, result: failure.outcome };
          wake();
        },
      },
    );
    return () => {
      if (socket.state !== "CLOSED" && socket.state !== "TIME-WAIT") socket.abort();
    };
  }, patience);
  return { at: began, took: clock.now - began, ...outcome };
}

/** What connection tracking, and a proxy between, know and the client does not: where its connection was sent. */
export function whoAnswers(
  ground: Ground,
  local: SocketAddress,
  { ip, port }: SocketAddress,
  protocol: "tcp" | "udp" = "tcp",
): SocketAddress {
  const tuple = { protocol, source: local.ip, sourcePort: local.port, target: ip, targetPort: port };
  for (const node of ground.store.list("Node")) {
    const netns = ground.network.namespaces.get(node.metadata.name);
    const reply = netns?.conntrack.find(tuple)?.reply;
    if (!reply || (reply.source === ip && reply.sourcePort === port)) continue;
    const proxy = netns?.sockets.passesOn(protocol, reply.source, reply.sourcePort);
    const behind = netns?.routes.isLocal(reply.source)
      ? proxy?.towards({ ip: reply.target, port: reply.targetPort })
      : undefined;
    return behind ?? { ip: reply.source, port: reply.sourcePort };
  }
  return { ip, port };
}

/** An answerer in both words. */
export function named(
  { ip, port }: SocketAddress,
  name: (ip: Ip) => string,
): Pick<RequestOutcome, "endpoint" | "name"> {
  return { endpoint: formatSocketAddress(ip, port), name: name(ip) };
}
