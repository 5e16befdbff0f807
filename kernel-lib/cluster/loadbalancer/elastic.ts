/** Owns what a Service's annotations ask of Amazon's classic load balancer (cloud-provider-aws, pkg/providers/v1/aws.go). */
import type { Kinds } from "../../api/kinds";
import { CloudError } from "../../control/loadbalancer/service";
import { second, type Time } from "../../sim/clock";
import type { Preface } from "./splice";

const prefix = "service.beta.kubernetes.io/aws-load-balancer-";

/** Amazon's own, where draining is asked for without a time (Elastic Load Balancing, "Configure connection draining"). */
const drainingTime = 300 * second;
/** As the cloud provider sets it where nobody says otherwise. */
const idleTime = 60 * second;

export interface ElasticSettings {
  readonly preface: Preface;
  /**
   * How long connections to a node that was taken out may go on. Undefined, which is the cloud provider's default: they are
   * closed at once, and so are those to a node that fails its checks; with draining those to an ill node just go on.
   */
  readonly draining: Time | undefined;
  /** A connection on which so long nothing was said is closed. */
  readonly idle: Time;
}

/** @throws CloudError in the cloud provider's words */
export function elasticSettings({ metadata }: Kinds["Service"]): ElasticSettings {
  const read = <T>(name: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = metadata.annotations?.[`${prefix}${name}`];
    if (text === undefined || text === "") return undefined;
    const value = parse(text);
    if (value === undefined) throw new CloudError(`error parsing service annotation: ${prefix}${name}=${text}`);
    return value;
  };
  const proxied = metadata.annotations?.[`${prefix}proxy-protocol`] ?? "";
  if (proxied !== "" && proxied !== "*") {
    const given = `annotation "${prefix}proxy-protocol"=${JSON.stringify(proxied)} detected`;
    throw new CloudError(`${given}, but the only value supported currently is '*'`);
  }
  const http = metadata.annotations?.[`${prefix}backend-protocol`] === "http";
  const drains = read("connection-draining-enabled", truth) ?? false;
  const draining = read("connection-draining-timeout", seconds) ?? drainingTime;
  return {
    preface: proxied === "*" ? "proxy-protocol" : http ? "x-forwarded-for" : "none",
    draining: drains ? draining : undefined,
    idle: read("connection-idle-timeout", seconds) ?? idleTime,
  };
}

/** strconv.ParseBool */
function truth(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

function seconds(text: string): Time | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) * second : undefined;
}
