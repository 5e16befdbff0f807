/** Owns the real kernel's side: a topology as namespaces in a sandbox, and each change and question as the command for it. */
import { batch, buildNamespaces, forwarding, neighbourLines } from "./kernelbuild";
import type { Sandbox } from "./sandbox";
import { addressOf, machineOf, type Topology, type Version, withNames } from "./topology";
import { type Ask, neighbourWords, patience, type Step, servedTcp, servedUdp, type World } from "./world";

/** Builds the topology in the sandbox, with one address family only: then nothing but the cases' own packets is on the wires. */
export async function buildKernel(topology: Topology, version: Version, sandbox: Sandbox): Promise<World> {
  return new KernelWorld(await buildNamespaces(topology, version, sandbox), version, sandbox);
}

/** A topology in a sandbox. */
class KernelWorld implements World {
  readonly #topology: Topology;
  readonly #version: Version;
  readonly #sandbox: Sandbox;

  constructor(topology: Topology, version: Version, sandbox: Sandbox) {
    this.#topology = topology;
    this.#version = version;
    this.#sandbox = sandbox;
  }

  async change(step: Step): Promise<void> {
    const { at } = step;
    switch (step.step) {
      case "serve":
        return this.#serve(at);
      case "link":
        return this.#ip(at, `link set ${step.device} ${step.up ? "up" : "down"}`);
      case "add route": {
        const to = this.#prefix(step.to);
        const words = [
          step.type,
          to,
          step.via && `via ${step.via}`,
          step.device && `dev ${step.device}`,
          step.onlink && "onlink",
        ];
        return this.#ip(at, `route add ${words.filter(Boolean).join(" ")}`);
      }
      case "delete route":
        return this.#ip(at, `route del ${this.#prefix(step.to)}`);
      case "delete neighbour":
        return this.#ip(at, `neigh del ${this.#address(step.ip)} dev ${step.device}`);
      case "forget neighbours":
        return this.#ip(at, "neigh flush all");
      case "clear fdb":
        return this.#clearFdb(at, step.device);
      case "wait":
        await new Promise((resolve) => setTimeout(resolve, step.seconds * 1000));
        return;
      case "rp_filter":
        return this.#set(
          at,
          ["all", "default", "eth0"].map((name) => `ipv4/conf/${name}/rp_filter`),
          step.on,
        );
      case "redirects": {
        const names = ["all", "eth0"];
        const words = ["send_redirects", "accept_redirects"];
        return this.#set(
          at,
          names.flatMap((name) => words.map((word) => `ipv4/conf/${name}/${word}`)),
          step.on,
        );
      }
      case "restore tunnel": {
        const machine = machineOf(this.#topology, at);
        const device = machine.devices.find(({ name }) => name === step.device);
        if (device) await batch(this.#sandbox, at, forwarding(device), "bridge");
        return batch(this.#sandbox, at, neighbourLines(machine, this.#version));
      }
      case "forwarding": {
        return this.#set(at, [this.#version === 4 ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding"], step.on);
      }
      case "bridge-nf-call-iptables": {
        return this.#set(at, [`bridge/bridge-nf-call-${this.#version === 4 ? "iptables" : "ip6tables"}`], step.on);
      }
      case "hairpin":
        return this.#ip(at, `link set ${step.device} type bridge_slave hairpin ${step.on ? "on" : "off"}`);
      case "mtu":
        return this.#ip(at, `link set ${step.device} mtu ${step.mtu}`);
      case "add address":
        return this.#ip(at, `addr add ${step.address} dev ${step.device}${this.#version === 6 ? " nodad" : ""}`);
      case "delete address":
        return this.#ip(at, `addr del ${step.address} dev ${step.device}`);
      case "rule":
      case "delete rule": {
        const tool = this.#version === 4 ? "iptables-nft" : "ip6tables-nft";
        const command = step.step === "rule" ? "-I" : "-D";
        await this.#sandbox.must([tool, command, step.chain, ...step.rule.split(" ")], { netns: at });
        return;
      }
    }
  }

  async ask(asks: readonly Ask[]): Promise<readonly string[]> {
    return Promise.all(asks.map(async (ask) => withNames(this.#topology, await this.#answer(ask))));
  }

  stop(): void {
    this.#sandbox.stop();
  }

  #answer(ask: Ask): Promise<string> {
    switch (ask.ask) {
      case "tcp":
        return this.#tcp(ask);
      case "udp":
        return this.#udp(ask);
      case "ping":
        return this.#ping(ask);
      case "hops":
        return this.#hops(ask);
      case "route":
        return this.#route(ask.at, this.#address(ask.to));
      case "neighbours":
        return this.#neighbours(ask);
      case "mtu":
        return this.#mtu(ask.at, ask.device);
      case "learnt":
        return this.#learnt(ask.at, ask.device);
      case "connections":
        return this.#connections(ask.at, ask.port);
    }
  }

  #address(name: string): string {
    return addressOf(this.#topology, name, this.#version);
  }

  #prefix(to: string): string {
    return to.includes("/") ? to : this.#address(to);
  }

  async #ip(at: string, words: string): Promise<void> {
    const family = this.#version === 6 ? ["-6"] : [];
    await this.#sandbox.must(["ip", ...family, "-n", at, ...words.split(" ")]);
  }

  async #set(at: string, paths: readonly string[], on: boolean): Promise<void> {
    const lines = paths.map((path) => `echo ${on ? 1 : 0} > /proc/sys/net/${path}`);
    await this.#sandbox.must(["sh", "-ec", lines.join("\n")], { netns: at });
  }

  async #clearFdb(at: string, device: string): Promise<void> {
    const link = machineOf(this.#topology, at).devices.find(({ name }) => name === device)?.link;
    if (link?.type !== "vxlan") return this.#ip(at, `link set ${device} type bridge fdb_flush`);
    const lines = link.fdb.map(([mac, ip]) => `fdb del ${mac} dev ${device} dst ${ip} self`);
    await batch(this.#sandbox, at, lines, "bridge");
  }

  async #serve(at: string): Promise<void> {
    const v6 = this.#version === 6;
    const saw = `${at} saw $SOCAT_PEERADDR`;
    const tcp = v6 ? `TCP6-LISTEN:${servedTcp},ipv6only,fork,reuseaddr` : `TCP4-LISTEN:${servedTcp},fork,reuseaddr`;
    await this.#sandbox.serve(at, ["socat", tcp, `SYSTEM:echo "${saw}"`], `${v6 ? "tcp6" : "tcp"} ${servedTcp}`);
    const [udp, ttl] = v6
      ? [`UDP6-RECVFROM:${servedUdp},ipv6only,ipv6-recvhoplimit,fork`, "$SOCAT_IPV6_HOPLIMIT"]
      : [`UDP4-RECVFROM:${servedUdp},ip-recvttl,fork`, "$SOCAT_IP_TTL"];
    const reply = `SYSTEM:n=$(wc -c); echo "${saw}, ttl ${ttl}, $n octets"`;
    await this.#sandbox.serve(at, ["socat", "-b65000", udp, reply], `${v6 ? "udp6" : "udp"} ${servedUdp}`);
  }

  async #tcp({ from, to, port = servedTcp }: Ask & { ask: "tcp" }): Promise<string> {
    const target = `TCP${this.#version}:${bracketed(this.#address(to))}:${port},connect-timeout=${patience}`;
    const { stdout, stderr } = await this.#sandbox.run(["socat", "-T5", "-u", target, "-"], { netns: from });
    return stdout === "" ? outcome(stderr) : sawWords(stdout);
  }

  async #udp({ from, to, port = servedUdp, size = 3 }: Ask & { ask: "udp" }): Promise<string> {
    const target = `UDP${this.#version}:${bracketed(this.#address(to))}:${port}`;
    const argv = ["socat", "-b65000", `-t${patience}`, "-", target];
    const { stdout, stderr } = await this.#sandbox.run(argv, { netns: from, input: "x".repeat(size), first: true });
    return stdout === "" ? outcome(stderr) : sawWords(stdout);
  }

  async #ping({ from, to, size = 56, dontFragment }: Ask & { ask: "ping" }): Promise<string> {
    const argv = ["ping", "-n", "-c1", `-W${patience}`, `-s${size}`, ...(dontFragment ? ["-Mdo"] : ["-Mdont"])];
    const { stdout, stderr } = await this.#sandbox.run([...argv, this.#address(to)], { netns: from });
    return pingWords(`${stdout}\n${stderr}`);
  }

  async #hops({ from, to }: Ask & { ask: "hops" }): Promise<string> {
    const argv = ["traceroute", `-${this.#version}`, "-n", "-I", "-q1", "-w1", "-m6", this.#address(to)];
    const { stdout } = await this.#sandbox.run(argv, { netns: from });
    const lines = stdout.split("\n").flatMap((line) => /^ *\d+ +(\S+)/.exec(line)?.[1] ?? []);
    return lines.join(" > ");
  }

  async #route(at: string, ip: string): Promise<string> {
    const { stdout, stderr } = await this.#sandbox.run(["ip", "-n", at, "route", "get", ip]);
    if (/Network is unreachable/.test(stderr)) return "network is unreachable";
    if (/Invalid argument/.test(stderr)) return "blackhole";
    if (stdout.startsWith("local ")) return "local";
    const via = /via (\S+)/.exec(stdout)?.[1];
    const dev = /dev (\S+)/.exec(stdout)?.[1];
    const src = /src (\S+)/.exec(stdout)?.[1];
    return `${via === undefined ? "" : `via ${via} `}dev ${dev} src ${src}`;
  }

  async #neighbours({ at, device, exact }: Ask & { ask: "neighbours" }): Promise<string> {
    const stdout = await this.#sandbox.must(["ip", `-${this.#version}`, "-n", at, "neigh", "show", "dev", device]);
    const lines = stdout.split("\n").flatMap((line) => {
      const [, ip = "", state = ""] = /^(\S+) .*?([A-Z]+)\s*$/.exec(line) ?? [];
      return ip === "" ? [] : (neighbourWords(ip, state, exact) ?? []);
    });
    return lines
      .map((line) => withNames(this.#topology, line))
      .sort()
      .join(", ");
  }

  async #mtu(at: string, device: string): Promise<string> {
    const stdout = await this.#sandbox.must(["ip", "-n", at, "link", "show", device]);
    return / mtu (\d+)/.exec(stdout)?.[1] ?? stdout;
  }

  async #learnt(at: string, device: string): Promise<string> {
    const stdout = await this.#sandbox.must(["bridge", "-n", at, "fdb", "show", "br", device]);
    const pods = new Map(
      this.#topology.machines.flatMap(({ name, devices: all }) => all.map(({ mac }) => [mac, name] as const)),
    );
    const lines = stdout.split("\n").flatMap((line) => {
      const [, mac = "", port = ""] = /^(\S+) dev (\S+)/.exec(line) ?? [];
      return mac === "" || /permanent|self/.test(line) ? [] : [`${pods.get(mac) ?? mac} behind ${port}`];
    });
    return lines.sort().join(", ");
  }

  async #connections(at: string, port: number): Promise<string> {
    const family = this.#version === 6 ? "ipv6" : "ipv4";
    const stdout = await this.#sandbox.must(["conntrack", "-L", "-f", family], { netns: at });
    const pattern = /^(\w+).*? src=(\S+) dst=(\S+) sport=\d+ dport=(\d+) .*?src=(\S+) dst=(\S+) sport=(\d+) dport/;
    const lines = stdout.split("\n").flatMap((line) => {
      const [, protocol, source, target, targetPort, answerer, asker, answerPort] = pattern.exec(line) ?? [];
      if (Number(targetPort) !== port) return [];
      return [`${protocol} ${source} > ${target} ${targetPort}, answered ${answerer} ${answerPort} > ${asker}`];
    });
    return lines.sort().join("; ");
  }
}

function bracketed(ip: string): string {
  return ip.includes(":") ? `[${ip}]` : ip;
}

/** socat prints IPv6 addresses in brackets and in full. */
function sawWords(stdout: string): string {
  return stdout.trim().replace(/\[([0-9a-f:]+)\]/g, (_, ip: string) => shortened(ip));
}

function shortened(ip: string): string {
  const groups = ip.split(":").map((group) => group.replace(/^0+(?=.)/, ""));
  const text = groups.join(":");
  const zeros = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].map(([run]) => run);
  const longest = zeros.sort((one, other) => other.length - one.length)[0];
  return longest === undefined ? text : text.replace(longest, text.endsWith(longest) ? "::" : ":");
}

/** What socat's error comes to. */
function outcome(stderr: string): string {
  if (/Connection refused/.test(stderr)) return "refused";
  if (/No route to host/.test(stderr)) return "no route to host";
  if (/Network is unreachable/.test(stderr)) return "network is unreachable";
  if (/Message too long/.test(stderr)) return "message too long";
  if (stderr === "" || /timed out/.test(stderr)) return "timeout";
  return stderr.trim();
}

/** What ping prints of an ICMP error, in one word for both families. */
function errorWords(text = ""): string {
  const mtu = /mtu ?= ?(\d+)/.exec(text)?.[1];
  if (mtu !== undefined) return `too big, mtu ${mtu}`;
  if (/Host Unreachable|Address unreachable/.test(text)) return "host-unreachable";
  if (/Net Unreachable|No route/.test(text)) return "net-unreachable";
  if (/Port Unreachable|Port unreachable/.test(text)) return "port-unreachable";
  if (/Packet filtered|Administratively prohibited/.test(text)) return "admin-prohibited";
  if (/Time to live exceeded|Hop limit/.test(text)) return "time-exceeded";
  return text.trim();
}

function pingWords(text: string): string {
  const [, from, ttl] = /bytes from (\S+): icmp_seq=1 ttl=(\d+)/.exec(text) ?? [];
  if (from !== undefined) return `${from}, ttl ${ttl}`;
  const [, teller, what] = /From (\S+) icmp_seq=1 (.+)/.exec(text) ?? [];
  if (teller !== undefined) return `${teller} says ${errorWords(what)}`;
  const [, mtu] = /message too long, mtu[=: ]+(\d+)/.exec(text) ?? [];
  if (mtu !== undefined) return `message too long, mtu ${mtu}`;
  if (/Network is unreachable/.test(text)) return "network is unreachable";
  if (/Invalid argument/.test(text)) return "blackhole";
  return /100% packet loss/.test(text) ? "nothing" : text.trim();
}
