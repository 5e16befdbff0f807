/** Owns one exchange with a DNS server: questions from one socket over UDP, and over TCP what did not fit (RFC 7766). */
import { parseIp, type SocketAddress } from "../net/address";
import type { Netns } from "../net/netns";
import type { Failure, TcpSocket, UdpSocket } from "../net/socket";
import type { Time } from "../sim/clock";
import type { Random } from "../sim/random";
import { type DnsMessage, isDns, type Question } from "./dns";
import { DnsStreamReader, dnsQuery, dnsStream } from "./dnsmessage";

/** Where somebody asks from. */
export interface Asker {
  readonly netns: Netns;
  readonly random: Random;
  readonly owner?: string;
}

export interface ExchangeOptions {
  readonly timeout: Time;
  /** EDNS0: how large an answer may be over UDP. */
  readonly udpSize?: number;
  readonly cookie?: string;
  /** Over TCP from the start. */
  readonly tcp?: boolean;
  /** Takes what fitted into UDP. */
  readonly ignoreTruncation?: boolean;
}

/** What came of it, and the address that it was asked from. */
export type Outcome = { readonly local: SocketAddress; readonly tcp: boolean } & (
  | { readonly result: "answers"; readonly messages: readonly DnsMessage[] }
  | { readonly result: "timeout" | "refused" | "unreachable" }
);

const nowhere: SocketAddress = { ip: 0, port: 0 };

/**
 * Asks one server. Every question is sent at once; the answers come back in the questions' order.
 * @param done called once, from the clock
 */
export function exchange(
  asker: Asker,
  server: { readonly ip: string; readonly port: number },
  questions: readonly Question[],
  options: ExchangeOptions,
  done: (outcome: Outcome) => void,
): { cancel(): void } {
  const { clock } = asker.netns.network.sim;
  const peer = { ip: parseIp(server.ip), port: server.port };
  const queries = questions.map((question) => {
    return dnsQuery(asker.random.integer(0, 65_535), question, options.udpSize, options.cookie);
  });
  const answers = new Map<number, DnsMessage>();
  const owner = asker.owner === undefined ? {} : { owner: asker.owner };
  let udp: UdpSocket | undefined;
  let tcp: TcpSocket | undefined;
  let usedTcp = false;
  let over = false;
  const close = (): void => {
    over = true;
    timer.cancel();
    udp?.close();
    tcp?.abort();
  };
  const finish = (result: "timeout" | "refused" | "unreachable" | "answers"): void => {
    if (over) return;
    const local = (usedTcp ? tcp?.local : udp?.local) ?? nowhere;
    close();
    const shared = { local, tcp: usedTcp };
    if (result !== "answers") done({ ...shared, result });
    else done({ ...shared, result, messages: queries.flatMap(({ id }) => answers.get(id) ?? []) });
  };
  const take = (message: DnsMessage): void => {
    if (!message.response || !queries.some(({ id }) => id === message.id)) return;
    answers.set(message.id, message);
    if (queries.some(({ id }) => !answers.has(id))) return;
    const cut = queries.filter(({ id }) => answers.get(id)?.truncated);
    if (cut.length === 0 || usedTcp || options.ignoreTruncation) finish("answers");
    else askByTcp(cut);
  };
  const askByTcp = (list: readonly DnsMessage[]): void => {
    usedTcp = true;
    for (const { id } of list) answers.delete(id);
    const reader = new DnsStreamReader();
    tcp = asker.netns.sockets.connectTcp(
      { ...peer, ...owner },
      {
        connected: (socket) => {
          for (const each of list) socket.write(dnsStream(each));
        },
        data: (socket, text) => {
          reader.feed(text);
          for (let message = reader.next(); message !== undefined && !over; message = reader.next()) {
            if (message !== "bad") take(message);
          }
          if (over && socket.state !== "CLOSED") socket.abort();
        },
        failed: (_socket, failure) => finish(failedAs(failure)),
      },
    );
  };
  const timer = clock.after(options.timeout, () => finish("timeout"));
  if (options.tcp) askByTcp(queries);
  else {
    udp = asker.netns.sockets.openUdp(
      { peer, ...owner },
      {
        received: (_socket, { payload }) => {
          if (isDns(payload)) take(payload);
        },
        failed: (_socket, failure) => finish(failedAs(failure)),
      },
    );
    for (const each of queries) udp.send(each);
  }
  return { cancel: close };
}

function failedAs({ outcome }: Failure): "unreachable" | "refused" | "timeout" {
  return outcome === "reset" ? "refused" : outcome;
}
