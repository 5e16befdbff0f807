/** Owns traffic as the cluster runs it: an open-loop client at a place, its marks, and who waits for its end. */
import type { Key } from "../../api/meta";
import { Files } from "../../apps/files";
import { formatIp } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { Time } from "../../sim/clock";
import { coloursOf } from "../palette";
import { type Ground, keyIn, readSource, readTarget } from "../question";
import { Answerers } from "./answerers";
import { HttpClient } from "./client";
import { type CheckedTraffic, checkTraffic, type TrafficOptions } from "./options";
import { reportOf, type TrafficMark, type TrafficReport } from "./report";
import { Requests } from "./requests";
import { Resolver } from "./resolver";

/** Requests that go on in the background of whatever else happens. */
export interface Traffic {
  readonly name: string;
  /** Names this moment: a phase of that name begins, and ends at the next mark. @throws Error if it is over */
  mark(name: string): void;
  /** Begins no more requests; those under way go on to their end. */
  stop(): void;
  /** Whether every request has its outcome. */
  readonly over: boolean;
  /** What has become of the requests so far. */
  report(): TrafficReport;
  /** Lets time pass until it is over. */
  finished(): Promise<TrafficReport>;
}

/** What traffic needs of a cluster. */
export interface TrafficGround extends Ground {
  readonly nodes: ReadonlyMap<string, { readonly place: HasFiles }>;
  readonly machines: readonly { readonly name: string; readonly place: HasFiles }[];
  readonly prompt: HasFiles;
  container(pod: Key): { readonly spec: HasFiles } | undefined;
}

interface HasFiles {
  readonly files: Files;
}

/** How many there have been in a cluster: each has its own stream of chance. */
const started = new WeakMap<TrafficGround, number>();

/**
 * Starts traffic: its first request begins now, the others as time passes.
 * @throws RangeError, Error in words that say which option is wrong
 */
export function startTraffic(ground: TrafficGround, options: TrafficOptions): Traffic {
  const checked = checkTraffic(options);
  const netns = readSource(ground, checked.from);
  const address = addressOf(ground, checked);
  const number = (started.get(ground) ?? 0) + 1;
  started.set(ground, number);
  return new RunningTraffic(ground, checked, netns, address, `traffic/${number}`);
}

/** With the /etc/hosts and /etc/resolv.conf of a place. */
function filesOf(ground: TrafficGround, from: string): Files | undefined {
  const [kind, ...path] = from.split("/");
  if (kind === "pod") return ground.container(keyIn(path))?.spec.files;
  if (kind === "node") return ground.nodes.get(path.join("/"))?.place.files;
  if (from === "workstation") return ground.prompt.files;
  return ground.machines.find(({ name }) => name === from)?.place.files;
}

interface Address {
  /** As it stands in the URL. */
  readonly host: string;
  readonly port: number;
}

function addressOf(ground: TrafficGround, { url, to }: CheckedTraffic): Address {
  if (url) return url;
  const { ip, port, protocol = "tcp" } = readTarget(ground, to);
  if (protocol !== "tcp") throw new RangeError(`to: ${to} speaks ${protocol}, and requests are HTTP over tcp`);
  return { host: formatIp(ip), port };
}

class RunningTraffic implements Traffic {
  readonly name: string;
  readonly #ground: TrafficGround;
  readonly #options: CheckedTraffic;
  readonly #requests: Requests;
  readonly #marks: TrafficMark[] = [];
  readonly #waiting = new Set<() => void>();
  #ended: Time | undefined;

  constructor(ground: TrafficGround, options: CheckedTraffic, netns: Netns, address: Address, stream: string) {
    this.name = options.name;
    this.#ground = ground;
    this.#options = options;
    const { sim } = ground.network;
    const files = filesOf(ground, options.from) ?? new Files(sim.clock);
    const asker = { netns, files, random: sim.random.fork(`${stream}/resolver`), owner: "client" };
    const answerers = new Answerers(ground);
    const resolver = new Resolver(asker, address.host);
    const client = new HttpClient({ asker, resolver, answerers, ...address }, options);
    this.#requests = new Requests(sim, client, options, stream, () => {
      client.close();
      answerers.stop();
      this.#ended = sim.clock.now;
      for (const wake of this.#waiting) wake();
    });
  }

  get over(): boolean {
    return this.#ended !== undefined;
  }

  mark(name: string): void {
    if (this.over) throw new Error(`mark: ${this.name} is over: no request begins after this moment`);
    this.#marks.push({ name, at: this.#ground.network.sim.clock.now });
  }

  stop(): void {
    this.#requests.stop();
  }

  report(): TrafficReport {
    const { began, outcomes } = this.#requests;
    const ended = this.#ended ?? this.#ground.network.sim.clock.now;
    const colours = (pods: readonly string[]) => coloursOf(this.#ground.store, pods);
    return reportOf(this.#options, { began, ended, outcomes, marks: [...this.#marks] }, colours);
  }

  async finished(): Promise<TrafficReport> {
    if (!this.over) {
      await this.#ground.driver.run(this.name, async (process) => {
        await process.pause((wake) => {
          this.#waiting.add(wake);
          return () => this.#waiting.delete(wake);
        });
      });
    }
    return this.report();
  }
}
