/** Owns IPVS's table of connections: found by either of their ends, kept until they have been silent for long enough. */
import type { Clock } from "../../sim/clock";
import { minute } from "../../sim/clock";
import type { Tuple } from "../conntrack";
import { type Ends, TupleTable } from "../tupletable";
import { freshTimeouts, type IpvsConnection, type IpvsTimeouts, isActive, timeoutOf } from "./connection";

/** The connections of one namespace. */
export class IpvsConnections {
  readonly timeouts: IpvsTimeouts = freshTimeouts();
  readonly #clock: Clock;
  /** By who asks whom: the client and the virtual server. Templates have the client's port 0. */
  readonly #asked = new TupleTable<IpvsConnection>();
  /** By who answers whom: the real server and the client. */
  readonly #answered = new TupleTable<IpvsConnection>();

  readonly #gone: (connection: IpvsConnection) => void;

  /** @param gone told of each connection that ends */
  constructor(clock: Clock, gone: (connection: IpvsConnection) => void) {
    this.#clock = clock;
    this.#gone = gone;
  }

  /** The connection of a packet from a client to a virtual server. */
  asked(tuple: Tuple): IpvsConnection | undefined {
    return this.#asked.get(tuple);
  }

  /** The connection of a packet from a real server to a client. */
  answered(tuple: Tuple): IpvsConnection | undefined {
    return this.#answered.get(tuple);
  }

  list(): readonly IpvsConnection[] {
    return [...this.#asked.values()];
  }

  get size(): number {
    return this.#asked.size;
  }

  add(connection: IpvsConnection): void {
    const { server, control } = connection;
    this.#asked.set(asking(connection), connection);
    if (connection.template) server.persistent++;
    else {
      this.#answered.set(answering(connection), connection);
      if (connection.inactive) server.inactive++;
      else server.active++;
    }
    if (control) control.controlled++;
    this.touch(connection);
  }

  /** A packet has passed: its time begins anew. */
  touch(connection: IpvsConnection): void {
    connection.expires = this.#clock.now + timeoutOf(connection, this.timeouts);
    // A timer that is set for later would come too late; one that is set for earlier looks again.
    if (connection.timer && connection.expires >= connection.timerAt) return;
    connection.timer?.cancel();
    this.#arm(connection);
  }

  /** Its state changed, and with it whether it counts as active. */
  moveTo(connection: IpvsConnection, state: IpvsConnection["state"]): void {
    connection.state = state;
    const inactive = !isActive(state);
    if (connection.template || inactive === connection.inactive) return;
    connection.inactive = inactive;
    const { server } = connection;
    server.active += inactive ? -1 : 1;
    server.inactive += inactive ? 1 : -1;
  }

  /** Ends a connection now. */
  expire(connection: IpvsConnection): void {
    connection.timer?.cancel();
    connection.timer = undefined;
    const { server, control } = connection;
    this.#asked.delete(asking(connection));
    if (connection.template) server.persistent--;
    else {
      this.#answered.delete(answering(connection));
      if (connection.inactive) server.inactive--;
      else server.active--;
    }
    if (control) control.controlled--;
    if (!connection.template) this.#gone(connection);
  }

  flush(): void {
    for (const connection of this.list()) this.expire(connection);
  }

  #arm(connection: IpvsConnection): void {
    connection.timerAt = connection.expires;
    const wait = connection.expires - this.#clock.now;
    connection.timer = this.#clock.after(wait, () => this.#ring(connection), "background");
  }

  #ring(connection: IpvsConnection): void {
    connection.timer = undefined;
    // A template waits for those that came by it.
    if (connection.controlled > 0 && connection.expires <= this.#clock.now) {
      connection.expires = this.#clock.now + minute;
    }
    if (connection.expires <= this.#clock.now) this.expire(connection);
    else this.#arm(connection);
  }
}

/** As the client asks. */
export function asking(connection: IpvsConnection): Tuple {
  return {
    protocol: connection.protocol,
    source: connection.clientIp,
    sourcePort: connection.clientPort,
    target: connection.virtualIp,
    targetPort: connection.virtualPort,
  };
}

function answering(connection: IpvsConnection): Ends {
  return {
    protocol: connection.protocol,
    source: connection.server.ip,
    sourcePort: connection.server.port,
    target: connection.clientIp,
    targetPort: connection.clientPort,
  };
}
