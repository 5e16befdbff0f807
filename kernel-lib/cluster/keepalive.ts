/** Owns requests over one connection that is kept alive, as clients with a pool make them (HTTP keep-alive, gRPC). */
import { formatRequest, HttpReader } from "../apps/http";
import { formatSocketAddress, type Ip } from "../net/address";
import type { TcpSocket } from "../net/socket";
import type { Process } from "./driver";
import type { Asked, Ground } from "./question";
import { named, patience, type RequestOutcome, whoAnswers } from "./request";

/**
 * Makes `count` requests one after another over one connection, really sent. Where the server ends it sooner, the rest
 * goes over another one; where a connection fails, one request has failed.
 */
export async function requestsKeptAlive(
  ground: Ground,
  process: Process,
  asked: Asked,
  count: number,
  name: (ip: Ip) => string,
): Promise<readonly RequestOutcome[]> {
  const done: RequestOutcome[] = [];
  while (done.length < count) {
    const before = done.length;
    const failure = await overOne(ground, process, asked, count - before, name, done);
    if (failure && done.length < count) done.push(failure);
    else if (done.length === before) throw new Error(`a connection to ${asked.to} ended with no answer`);
  }
  return done;
}

/** Fills `done`; gives what became of the request that had no answer when the connection failed. */
async function overOne(
  ground: Ground,
  process: Process,
  asked: Asked,
  count: number,
  name: (ip: Ip) => string,
  done: RequestOutcome[],
): Promise<RequestOutcome | undefined> {
  const { clock } = ground.network.sim;
  const reader = HttpReader.responses();
  const host = formatSocketAddress(asked.ip, asked.port);
  const text = formatRequest({
    ...{ method: "GET", target: "/", body: "" },
    headers: [
      ["Host", host],
      ["User-Agent", "kubebook"],
      ["Accept", "*/*"],
    ],
  });
  let began = clock.now;
  let left = count;
  let answerer: Pick<RequestOutcome, "endpoint" | "name"> = {};
  let failure: RequestOutcome | undefined;
  const ask = (connection: TcpSocket): void => {
    began = clock.now;
    connection.write(text);
  };
  const take = (connection: TcpSocket, last: boolean): void => {
    // Asked for when an answer is there: a proxy between may have tried others before.
    if (!answerer.endpoint) answerer = named(whoAnswers(ground, connection.local, asked), name);
    for (let answer = reader.next(last); answer && answer !== "bad" && left > 0; answer = reader.next(last)) {
      const { status, body } = answer;
      done.push({ at: began, took: clock.now - began, result: "answered", ...answerer, status, body });
      left--;
      if (left > 0 && !last) ask(connection);
      else connection.end();
    }
  };
  await process.pause((wake) => {
    const socket = asked.netns.sockets.connectTcp(
      { ip: asked.ip, port: asked.port, owner: "client", timeout: patience },
      {
        connected(connection) {
          ask(connection);
        },
        data(connection, piece) {
          reader.feed(piece);
          take(connection, false);
        },
        ended(connection) {
          take(connection, true);
          connection.end();
        },
        closed: wake,
        failed(_, { outcome }) {
          failure = { at: began, took: clock.now - began, result: outcome, ...answerer };
          wake();
        },
      },
    );
    return () => {
      if (socket.state !== "CLOSED" && socket.state !== "TIME-WAIT") socket.abort();
    };
  }, patience * count);
  return failure;
}
