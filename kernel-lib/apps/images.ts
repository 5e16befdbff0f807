/** Owns the registry: which images there are, what they bring, and what a runtime says of those that are not there. */
import { sha256 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import { agnhost } from "./agnhost";
import type { App, Signal } from "./app";
import type { ClusterDnsOptions } from "./clusterdns";
import { coredns } from "./coredns";
import { cp, daemon, once } from "./daemon";
import { echoserver } from "./echoserver";
import { guestbook } from "./guestbook";
import type { Image, PullFailure, Registry } from "./image";
import { nginx, nginxFiles } from "./nginx";
import { pause } from "./pause";
import { redis } from "./redis";
import { formatReference, parseReference, repositoryOf } from "./reference";
import { web } from "./web";

/** What the registry's own images need of the world. */
export interface RegistryOptions {
  /** What CoreDNS answers from. */
  readonly dns: ClusterDnsOptions;
  /** What kube-proxy's image runs; default: a program that only lives. */
  readonly kubeProxy?: App;
  /** What MetalLB's images run; default: programs that only live. */
  readonly metallb?: { readonly controller: App; readonly speaker: App };
}

/** One repository: its tags and what an image of a tag is. */
interface Repository {
  /** The tags that there are. */
  readonly tags: RegExp;
  /** Compressed, in octets. */
  readonly size: number;
  readonly make: (tag: string) => Recipe;
}

interface Recipe {
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: { readonly [name: string]: string };
  readonly folder?: string;
  readonly stopSignal?: Signal;
  readonly programs?: { readonly [name: string]: App };
  readonly tools?: readonly string[];
  readonly files?: { readonly [path: string]: string };
  readonly quiet?: boolean;
}

/** What every shell of ours has. */
const shell = [
  "sh",
  "ash",
  "[",
  "awk",
  "basename",
  "cat",
  "chmod",
  "cp",
  "cut",
  "date",
  "dirname",
  "du",
  "echo",
  "env",
  "expr",
  "false",
  "find",
  "grep",
  "head",
  "hostname",
  "id",
  "kill",
  "ln",
  "ls",
  "mkdir",
  "mv",
  "printenv",
  "printf",
  "pwd",
  "readlink",
  "rm",
  "rmdir",
  "sed",
  "seq",
  "sleep",
  "sort",
  "stat",
  "tail",
  "tar",
  "tee",
  "test",
  "time",
  "timeout",
  "touch",
  "tr",
  "true",
  "uniq",
  "watch",
  "wc",
  "which",
  "whoami",
  "xargs",
  "yes",
]; // prettier-ignore
const busyboxTools = [
  ...shell,
  ..."arp ifconfig ip nc netstat nslookup ping ps route telnet traceroute vi wget".split(" "),
];
/** What a bag of network tools brings beside these. */
const netshootTools = [
  "arping",
  "brctl",
  "bridge",
  "conntrack",
  "ip6tables",
  "ip6tables-save",
  "iptables",
  "iptables-save",
  "openssl",
  "ss",
  "sysctl",
  "tcpdump",
  "tracepath",
];
// Debian's slim images have no procps: there `kill` is a shell's own word only.
const coreutils = [...shell.filter((tool) => tool !== "kill"), "bash", "getent"];

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const anyVersion = /^(latest|v?\d+(\.\d+){0,2}([-.]\w+)*)$/;

function osRelease(name: string, id: string, version: string): { readonly [path: string]: string } {
  return { "/etc/os-release": `PRETTY_NAME="${name}"\nNAME="${name}"\nID=${id}\nVERSION_ID="${version}"\n` };
}

/**
 * Images whose entrypoint is a script that runs what follows it (`exec "$@"`: nginx, curl) are given without that script:
 * what runs is the same.
 */
function repositories({ dns, kubeProxy = daemon, metallb }: RegistryOptions): {
  readonly [repository: string]: Repository;
} {
  const busybox: Recipe = { command: ["sh"], tools: busyboxTools };
  const nginxVersion = (tag: string): string => {
    const digits = /^\d+(\.\d+){1,2}/.exec(tag)?.[0];
    if (digits === undefined) return tag.startsWith("stable") ? "1.28.0" : "1.29.3";
    return /^\d+\.\d+$/.test(digits) ? `${digits}.0` : digits;
  };
  return {
    "docker.io/library/nginx": {
      tags: /^(latest|stable|mainline|alpine|(stable|mainline)-\w+|1(\.\d{1,2}){0,2}(-\w+)*)$/,
      size: 59_774_010,
      make: (tag) => ({
        command: ["nginx", "-g", "daemon off;"],
        env: { NGINX_VERSION: nginxVersion(tag), PKG_RELEASE: tag.includes("alpine") ? "1" : "1~trixie" },
        stopSignal: "SIGQUIT",
        programs: { nginx: nginx(nginxVersion(tag)) },
        quiet: true,
        tools: [...coreutils, "curl", "nginx", "openssl"],
        files: { ...nginxFiles, ...osRelease("Debian GNU/Linux 13 (trixie)", "debian", "13") },
      }),
    },
    "docker.io/bprashanth/nginxhttps": {
      tags: /^1\.0$/,
      size: 72_350_000,
      make: () => ({
        command: ["nginx", "-g", "daemon off;"],
        env: { NGINX_VERSION: "1.11.3-1~jessie" },
        stopSignal: "SIGQUIT",
        programs: { nginx: nginx("1.11.3", true) },
        tools: [...coreutils, "curl", "nginx", "openssl"],
        files: { ...nginxFiles, ...osRelease("Debian GNU/Linux 8 (jessie)", "debian", "8") },
      }),
    },
    // Made for this course (web.ts): its tags are versions of a page; in a distroless one there is nothing beside the server.
    "docker.io/kubebook/web": {
      tags: /^\d+\.\d+(-distroless)?$/,
      size: 8_412_000,
      make: (tag) => ({
        command: ["web"],
        programs: { web: web(tag.replace("-distroless", "")) },
        tools: tag.endsWith("-distroless") ? [] : busyboxTools,
      }),
    },
    "docker.io/library/busybox": { tags: anyVersion, size: 2_224_000, make: () => busybox },
    // The one of Kubernetes' own examples.
    "registry.k8s.io/busybox": { tags: anyVersion, size: 1_100_000, make: () => busybox },
    "registry.k8s.io/e2e-test-images/busybox": { tags: anyVersion, size: 2_224_000, make: () => busybox },
    "docker.io/radial/busyboxplus": {
      tags: /^(latest|base|curl|git)$/,
      size: 4_250_000,
      make: (tag) => ({
        ...busybox,
        command: ["/bin/sh"],
        tools: tag === "curl" ? [...busyboxTools, "curl"] : busyboxTools,
      }),
    },
    "docker.io/curlimages/curl": {
      tags: anyVersion,
      size: 9_570_000,
      make: () => ({ command: ["curl"], tools: [...busyboxTools, "curl"] }),
    },
    "docker.io/library/alpine": {
      tags: /^(latest|edge|3(\.\d+){0,2})$/,
      size: 3_800_000,
      make: () => ({ ...busybox, command: ["/bin/sh"], files: osRelease("Alpine Linux v3.22", "alpine", "3.22.0") }),
    },
    "docker.io/library/ubuntu": {
      tags: /^(latest|rolling|noble|jammy|\d\d\.\d\d)$/,
      size: 29_720_000,
      make: () => ({
        command: ["/bin/bash"],
        tools: [...coreutils, "ps", "apt", "apt-get"],
        files: osRelease("Ubuntu 24.04.3 LTS", "ubuntu", "24.04"),
      }),
    },
    "docker.io/library/debian": {
      tags: /^(latest|stable|trixie|bookworm|1[0-3](\.\d+)?)(-slim)?$/,
      size: 49_280_000,
      make: () => ({
        command: ["bash"],
        tools: [...coreutils, "apt", "apt-get"],
        files: osRelease("Debian GNU/Linux 13 (trixie)", "debian", "13"),
      }),
    },
    "registry.k8s.io/e2e-test-images/agnhost": {
      tags: /^2\.\d+(\.\d+)?$/,
      size: 52_500_000,
      make: () => ({
        entrypoint: ["/agnhost"],
        command: ["pause"],
        programs: { agnhost },
        tools: [...busyboxTools, "curl", "dig"],
      }),
    },
    "registry.k8s.io/e2e-test-images/jessie-dnsutils": {
      tags: /^1\.\d+$/,
      size: 112_000_000,
      make: () => ({ command: ["/bin/sh"], tools: [...coreutils, "nslookup", "dig", "host", "ping", "curl"] }),
    },
    "docker.io/nicolaka/netshoot": {
      tags: /^(latest|v\d+\.\d+)$/,
      size: 202_000_000,
      make: () => ({
        command: ["zsh"],
        tools: [...busyboxTools, "bash", "zsh", "curl", "dig", "host", ...netshootTools],
      }),
    },
    "registry.k8s.io/echoserver": {
      tags: /^1\.(4|10)$/,
      size: 45_230_000,
      make: () => ({
        command: ["echoserver"],
        programs: { echoserver },
        quiet: true,
        tools: coreutils,
      }),
    },
    "docker.io/library/redis": {
      tags: /^(latest|alpine|[4-8](\.\d+){0,2}(-\w+)?)$/,
      size: 42_010_000,
      make: (tag) => redisRecipe(tag),
    },
    "us-docker.pkg.dev/google-samples/containers/gke/gb-redis-follower": {
      tags: /^(latest|v[12])$/,
      size: 39_210_000,
      make: () => ({ ...redisRecipe("6.0.5"), command: ["redis-server", "--replicaof", "redis-leader", "6379"] }),
    },
    "us-docker.pkg.dev/google-samples/containers/gke/gb-frontend": {
      tags: /^(latest|v[1-6])$/,
      size: 174_800_000,
      make: () => ({
        command: ["apache2-foreground"],
        stopSignal: "SIGWINCH",
        programs: { "apache2-foreground": guestbook },
        tools: [...coreutils, "curl"],
      }),
    },
    "registry.k8s.io/kube-proxy": {
      tags: /^v1\.\d+\.\d+$/,
      size: 25_963_000,
      make: () => ({ command: ["kube-proxy"], programs: { "kube-proxy": kubeProxy } }),
    },
    "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/kube-proxy": {
      tags: /^v1\.\d+\.\d+-eksbuild\.\d+$/,
      size: 25_963_000,
      make: () => ({ command: ["kube-proxy"], programs: { "kube-proxy": kubeProxy } }),
    },
    "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni-init": {
      tags: /^v1\.\d+\.\d+-eksbuild\.\d+$/,
      size: 62_980_000,
      make: () => ({ command: ["aws-vpc-cni-init"], programs: { "aws-vpc-cni-init": once } }),
    },
    "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni": {
      tags: /^v1\.\d+\.\d+-eksbuild\.\d+$/,
      size: 48_900_000,
      make: () => ({ command: ["aws-vpc-cni"], programs: { "aws-vpc-cni": daemon } }),
    },
    "ghcr.io/flannel-io/flannel": {
      tags: /^v0\.\d+\.\d+$/,
      size: 32_100_000,
      make: () => ({ entrypoint: ["/opt/bin/flanneld"], programs: { flanneld: daemon, cp } }),
    },
    "ghcr.io/flannel-io/flannel-cni-plugin": {
      tags: /^v1\.\d+\.\d+-flannel\d+$/,
      size: 4_880_000,
      make: () => ({ command: ["/flannel"], programs: { cp }, files: { "/flannel": "" } }),
    },
    "quay.io/metallb/controller": {
      tags: /^v0\.\d+\.\d+$/,
      size: 29_310_000,
      make: () => ({ entrypoint: ["/controller"], programs: { controller: metallb?.controller ?? daemon } }),
    },
    "quay.io/metallb/speaker": {
      tags: /^v0\.\d+\.\d+$/,
      size: 49_150_000,
      make: () => ({ entrypoint: ["/speaker"], programs: { speaker: metallb?.speaker ?? daemon } }),
    },
    "registry.k8s.io/pause": {
      tags: /^3\.\d+(\.\d+)?$/,
      size: 320_448,
      make: () => ({ entrypoint: ["/pause"], programs: { pause }, quiet: true }),
    },
    "registry.k8s.io/coredns/coredns": {
      tags: /^v1\.\d+\.\d+$/,
      size: 22_800_000,
      make: (tag) => ({ entrypoint: ["/coredns"], programs: { coredns: coredns(dns, tag.slice(1)) } }),
    },
  };
}

function redisRecipe(tag: string): Recipe {
  const version = /^\d+\.\d+\.\d+/.exec(tag)?.[0] ?? "8.0.2";
  return {
    command: ["redis-server"],
    folder: "/data",
    programs: { "redis-server": redis(version) },
    tools: [...coreutils, "redis-cli"],
  };
}

/** The images of the course, as Docker Hub and registry.k8s.io would give them. The same tag is the same image. */
export function createRegistry(options: RegistryOptions): Registry {
  const known = repositories(options);
  const images = new Map<string, Image>();
  return {
    pull(text) {
      const parsed = parseReference(text);
      if ("problem" in parsed) return { code: "Unknown", message: parsed.problem };
      const reference = formatReference(parsed);
      const name = repositoryOf(parsed);
      const repository = Object.hasOwn(known, name) ? known[name] : undefined;
      if (!repository) return unknownRepository(reference, parsed.domain, parsed.path, parsed.tag ?? "latest");
      if (parsed.digest !== undefined || !repository.tags.test(parsed.tag ?? "")) return noSuchTag(reference);
      const image = images.get(reference) ?? build(reference, name, repository, parsed.tag ?? "latest");
      images.set(reference, image);
      return image;
    },
  };
}

function build(reference: string, name: string, repository: Repository, tag: string): Image {
  const recipe = repository.make(tag);
  return {
    reference,
    id: `${name}@sha256:${bytesToHex(sha256(reference))}`,
    size: repository.size,
    entrypoint: recipe.entrypoint ?? [],
    command: recipe.command ?? [],
    env: { PATH: defaultPath, ...recipe.env },
    folder: recipe.folder ?? "/",
    stopSignal: recipe.stopSignal ?? "SIGTERM",
    programs: recipe.programs ?? {},
    tools: recipe.tools ?? [],
    files: recipe.files ?? {},
    ...(recipe.quiet && { quiet: true }),
  };
}

function failed(reference: string, why: string): string {
  return `failed to pull and unpack image "${reference}": failed to resolve reference "${reference}": ${why}`;
}

/** What containerd says of a tag that a repository has not. */
function noSuchTag(reference: string): PullFailure {
  return { code: "NotFound", message: failed(reference, `${reference}: not found`) };
}

const refusal =
  "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";

/** Docker Hub does not say whether there is no such repository or one may not see it; a host that is none has no address. */
function unknownRepository(reference: string, domain: string, path: string, tag: string): PullFailure {
  if (domain === "docker.io") return { code: "Unknown", message: failed(reference, refusal) };
  if (domain === "registry.k8s.io") return noSuchTag(reference);
  const asked = `failed to do request: Head "https://${domain}/v2/${path}/manifests/${tag}"`;
  const host = domain.split(":")[0];
  return { code: "Unknown", message: failed(reference, `${asked}: dial tcp: lookup ${host}: no such host`) };
}
