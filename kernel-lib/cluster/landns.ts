/** Owns the DNS of the nodes' network, as a home router has it (dnsmasq): it knows the hosts there, and nobody else. */
import { type DnsAnswer, type DnsRecord, isDns, type Question, reverseName } from "../apps/dns";
import { DnsStreamReader, dnsResponse, dnsStream } from "../apps/dnsmessage";
import type { Netns } from "../net/netns";

/** A host of the network with its addresses. */
export interface LanHost {
  readonly name: string;
  readonly ips: readonly string[];
}

/**
 * Answers for the hosts, both ways. There is no Internet: every other name is said not to be.
 * @param more hosts of elsewhere, that may come and go
 */
export function serveLanDns(router: Netns, hosts: readonly LanHost[], more: readonly LanHost[] = []): void {
  const answer = (question: Question): DnsAnswer => answerOf([...hosts, ...more], question);
  const owner = "dnsmasq";
  router.sockets.openUdp(
    { port: 53, owner },
    {
      received(server, { payload, source }) {
        if (isDns(payload) && !payload.response) server.send(dnsResponse(payload, answer(payload.question)), source);
      },
    },
  );
  router.sockets.listenTcp({ port: 53, owner }, () => {
    const reader = new DnsStreamReader();
    return {
      data(socket, text) {
        reader.feed(text);
        for (let message = reader.next(); message !== undefined; message = reader.next()) {
          if (message === "bad") return socket.abort();
          socket.write(dnsStream(dnsResponse(message, answer(message.question), "tcp")));
        }
      },
    };
  });
}

/** /etc/hosts' time to live is none. */
const ttl = 0;

function answerOf(hosts: readonly LanHost[], { name, type }: Question): DnsAnswer {
  const lower = name.toLowerCase();
  const known = hosts.find((host) => `${host.name}.` === lower);
  const named = hosts.find((host) => host.ips.some((ip) => reverseName(ip) === lower));
  const record = (data: string): DnsRecord => ({ name, type, ttl, data });
  const fitting = (known?.ips ?? []).filter((ip) => type === (ip.includes(":") ? "AAAA" : "A"));
  const answers = named && type === "PTR" ? [record(`${named.name}.`)] : fitting.map(record);
  return {
    rcode: known || named ? "NOERROR" : "NXDOMAIN",
    authoritative: answers.length > 0,
    recursionAvailable: true,
    ...{ answers, authority: [], additional: [] },
  };
}
