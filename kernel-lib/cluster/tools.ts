/** Owns the list of commands that are ours: what a shell knows beside just-bash's own. */
import { getCommandNames } from "just-bash";
import { helm } from "./helm/helm";
import { kubectl } from "./kubectl/kubectl";
import { aptTools } from "./linux/apt";
import { bridgeTools } from "./linux/bridge";
import { conntrack } from "./linux/conntrack";
import { curl } from "./linux/curl";
import { dnsTools } from "./linux/dns/index";
import { ip } from "./linux/ip/ip";
import { ipset } from "./linux/ipset";
import { iptablesTools } from "./linux/iptables";
import { ipvsadm } from "./linux/ipvsadm";
import { make } from "./linux/make";
import { nc } from "./linux/nc";
import { nft } from "./linux/nft";
import { nginx } from "./linux/nginx";
import { openssl } from "./linux/openssl/index";
import { arping } from "./linux/probe/arping";
import { ping } from "./linux/probe/ping";
import { tracepath } from "./linux/probe/tracepath";
import { traceroute } from "./linux/probe/traceroute";
import { redisTools } from "./linux/redis";
import { socketTools } from "./linux/ss";
import { ssh } from "./linux/ssh";
import { sysctl } from "./linux/sysctl";
import { tcpdump } from "./linux/tcpdump/tcpdump";
import { wget } from "./linux/wget";
import { runtimeTools } from "./runtime";
import { builtinTools } from "./shell/builtins";
import type { Tool } from "./shell/tool";

/** By name. What a place has of them, its image or kind of machine says. */
export const tools: ReadonlyMap<string, Tool> = new Map(
  Object.entries({
    ...builtinTools,
    kubectl,
    helm,
    ...aptTools,
    curl,
    wget,
    arping,
    ping,
    tracepath,
    traceroute,
    ssh,
    ...dnsTools,
    ...bridgeTools,
    conntrack,
    ip,
    ipset,
    ipvsadm,
    make,
    nc,
    nft,
    nginx,
    openssl,
    ...redisTools,
    ...socketTools,
    sysctl,
    tcpdump,
    ...iptablesTools,
    ...runtimeTools,
  }),
);

/** All names, just-bash's own among them. */
export const toolNames: readonly string[] = [...new Set([...tools.keys(), ...getCommandNames()])];
