/** Owns the two small questions beside a request: one echo request, and one datagram; and who answered them. */
import { dnsQuery } from "../apps/dnsmessage";
import { formatIp, type Ip } from "../net/address";
import type { Process } from "./driver";
import { type Asked, type Ground, nameOf } from "./question";
import { named, patience, type RequestOutcome, whoAnswers } from "./request";

type Ending = Omit<RequestOutcome, "at" | "took">;

/** Sends one echo request of 56 octets of data, as `ping -c 1`. */
export function echo(ground: Ground, process: Process, { netns, ip }: Asked): Promise<RequestOutcome> {
  return waitFor(ground, process, (tell) => {
    const socket = netns.sockets.openEcho(ip, (result) => {
      const name = nameOf(ground, result.from) ?? formatIp(result.from);
      const who = { endpoint: formatIp(result.from), name };
      if (result.result === "reply") tell({ result: "answered", ...who });
      else tell({ result: "unreachable", error: result.error, ...who });
    });
    if (!socket.send(1)) ground.network.sim.clock.after(0, () => tell({ result: "unreachable" }));
    return () => socket.close();
  });
}

/** Sends one datagram: to port 53 a DNS query, which a server answers; elsewhere a few letters. */
export function datagram(ground: Ground, process: Process, asked: Asked): Promise<RequestOutcome> {
  const { netns, ip, port } = asked;
  const name = (address: Ip): string => nameOf(ground, address) ?? formatIp(address);
  return waitFor(ground, process, (tell) => {
    const socket = netns.sockets.openUdp(
      { peer: { ip, port }, owner: "client" },
      {
        received: () => tell({ result: "answered", ...named(whoAnswers(ground, socket.local, asked, "udp"), name) }),
        failed: (_, failure) => tell({ result: failure.outcome }),
      },
    );
    const id = netns.random.integer(0, 65_535);
    socket.send(port === 53 ? dnsQuery(id, { name: "kubernetes.default.svc.cluster.local.", type: "A" }) : "hello");
    return () => socket.close();
  });
}

/** Asks, waits for what is told, and gives up when patience is over. */
async function waitFor(
  ground: Ground,
  process: Process,
  begin: (tell: (ending: Ending) => void) => () => void,
): Promise<RequestOutcome> {
  const { clock } = ground.network.sim;
  const at = clock.now;
  let ending: Ending = { result: "timeout" };
  await process.pause((wake) => {
    return begin((told) => {
      ending = told;
      wake();
    });
  }, patience);
  return { at, took: clock.now - at, ...ending };
}
