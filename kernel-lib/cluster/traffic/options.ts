/** Owns what may be said of traffic: who asks whom, how often, over which connections, and how patient the client is. */
import { second, type Time } from "../../sim/clock";
import { parseDuration } from "../driver";
import { parseUrl } from "../linux/http";

/** How the client uses connections, as HTTP clients with a pool do. */
export interface KeepAlive {
  /** How many connections are kept; requests take the one that has been idle longest. 10 (wrk's) unless given. */
  readonly connections?: number;
}

/**
 * On what a request is tried again, in Envoy's words (`x-envoy-retry-on`): no connection came about; a connection was
 * reset or closed before the whole answer had come; the answer's status was 5xx.
 */
export type RetryOn = "connect-failure" | "reset" | "5xx";

/** An open-loop client: its requests begin when they are due, whatever became of those before. */
export interface TrafficOptions {
  /** `pod/[namespace/]name`, `node/name`, `workstation`, or `client`: somebody outside the nodes' network. */
  readonly from: string;
  /** A URL (`http://192.168.1.240/`, from a pod also with a name: `http://web/`), or as in a question: `svc/web:80`. */
  readonly to: string;
  /** Requests a second. */
  readonly rate: number;
  /** For how long requests are begun: `60s`, or seconds as a number. */
  readonly duration: string | number;
  /** The path of the request; that of the URL, or `/`, unless given. */
  readonly path?: string;
  /** Connections are used again. A connection for each request unless given. */
  readonly keepAlive?: boolean | KeepAlive;
  /** How often a failed request is tried again, at once; 0 unless given. GET is idempotent (RFC 9110 section 9.2.2). */
  readonly retries?: number;
  /** What is tried again: connect failures and resets unless given. */
  readonly retryOn?: readonly RetryOn[];
  /** How long one try may take, from its beginning to the whole answer; 10 s unless given. */
  readonly timeout?: string | number;
  /** How long the handshake of one try may take; as long as the try unless given. */
  readonly connectTimeout?: string | number;
  /** When requests begin: `even` (default), one each 1/rate; `poisson`, at random with that mean, as many clients do. */
  readonly arrivals?: "even" | "poisson";
  /** What it is called in tables and pictures; `from` → `to` unless given. */
  readonly name?: string;
}

/** The options with everything filled in; times in microseconds. */
export interface CheckedTraffic {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly url: { readonly host: string; readonly port: number } | undefined;
  readonly path: string;
  readonly rate: number;
  readonly duration: Time;
  /** 0: a new connection for each request. */
  readonly connections: number;
  readonly retries: number;
  readonly retryOn: ReadonlySet<RetryOn>;
  readonly timeout: Time;
  readonly connectTimeout: Time;
  readonly arrivals: "even" | "poisson";
}

const most = 1_000_000;
const retryWords: readonly RetryOn[] = ["connect-failure", "reset", "5xx"];
const known = new Set([
  ...["from", "to", "rate", "duration", "path", "keepAlive", "retries", "retryOn"],
  ...["timeout", "connectTimeout", "arrivals", "name"],
]);

/** @throws RangeError, Error in words that say which option is wrong */
export function checkTraffic(options: TrafficOptions): CheckedTraffic {
  const { from, to, rate, retries = 0, arrivals = "even", keepAlive = false } = options;
  for (const word of Object.keys(options)) {
    if (!known.has(word)) throw new RangeError(`traffic: there is no option ${JSON.stringify(word)}`);
  }
  if (typeof rate !== "number" || !(rate > 0) || rate > 100_000) {
    throw new RangeError(`rate: ${rate} is no number of requests a second (above 0, at most 100000)`);
  }
  const duration = span("duration", options.duration);
  if ((rate * duration) / second > most) {
    throw new RangeError(`rate × duration: ${Math.round((rate * duration) / second)} requests; at most ${most}`);
  }
  if (!Number.isInteger(retries) || retries < 0 || retries > 10) {
    throw new RangeError(`retries: ${retries} is no whole number from 0 to 10`);
  }
  const retryOn = options.retryOn ?? ["connect-failure", "reset"];
  const unknown = retryOn.find((word) => !retryWords.includes(word));
  if (unknown !== undefined)
    throw new RangeError(`retryOn: ${JSON.stringify(unknown)} is none of ${retryWords.join(", ")}`);
  if (arrivals !== "even" && arrivals !== "poisson") {
    throw new RangeError(`arrivals: ${JSON.stringify(arrivals)} is neither even nor poisson`);
  }
  const timeout = span("timeout", options.timeout ?? 10);
  const url = urlOf(to);
  const path = options.path ?? url?.path ?? "/";
  if (!path.startsWith("/")) throw new RangeError(`path: ${JSON.stringify(path)} does not begin with /`);
  return {
    name: options.name ?? `${from} → ${to}`,
    ...{ from, to, path, rate, duration, retries, arrivals, timeout },
    url: url && { host: url.host, port: url.port },
    connections: connectionsOf(keepAlive),
    retryOn: new Set(retryOn),
    connectTimeout: Math.min(
      timeout,
      options.connectTimeout === undefined ? timeout : span("connectTimeout", options.connectTimeout),
    ),
  };
}

function span(option: string, given: string | number): Time {
  let time: Time;
  try {
    time = parseDuration(given);
  } catch (error) {
    throw new RangeError(`${option}: ${error instanceof Error ? error.message : error}`);
  }
  if (!(time > 0)) throw new RangeError(`${option}: ${JSON.stringify(given)} is no time above 0`);
  return time;
}

function connectionsOf(keepAlive: boolean | KeepAlive): number {
  if (keepAlive === false) return 0;
  const { connections = 10 } = keepAlive === true ? {} : keepAlive;
  if (!Number.isInteger(connections) || connections < 1 || connections > 10_000) {
    throw new RangeError(`keepAlive: ${connections} is no number of connections (1 to 10000)`);
  }
  return connections;
}

function urlOf(to: string): { readonly host: string; readonly port: number; readonly path: string } | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(to)) return undefined;
  const url = parseUrl(to);
  if (!url || url.host === "" || !(url.port >= 1 && url.port <= 65_535)) {
    throw new RangeError(`to: ${JSON.stringify(to)} is no URL`);
  }
  if (url.scheme !== "http") throw new RangeError(`to: ${url.scheme}:// is not spoken here: write http://`);
  return url;
}
