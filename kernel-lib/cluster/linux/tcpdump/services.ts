/** Owns the names of ports and protocols that the tools know (/etc/services, /etc/protocols), as far as one meets them here. */

const names: Readonly<Record<string, readonly [port: number, ...protocols: readonly string[]]>> = {
  ssh: [22, "tcp"],
  telnet: [23, "tcp"],
  smtp: [25, "tcp"],
  domain: [53, "tcp", "udp"],
  bootps: [67, "udp"],
  bootpc: [68, "udp"],
  http: [80, "tcp"],
  ntp: [123, "udp"],
  https: [443, "tcp", "udp"],
  mysql: [3306, "tcp"],
  postgresql: [5432, "tcp"],
  redis: [6379, "tcp"],
  "http-alt": [8080, "tcp", "udp"],
};

/** The name of a port, or its number. */
export function serviceName(port: number, protocol: string): string {
  for (const [name, [number, ...protocols]] of Object.entries(names)) {
    if (number === port && protocols.includes(protocol)) return name;
  }
  return String(port);
}

/** A port by name or number; undefined if it is neither. */
export function servicePort(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) <= 65_535 ? Number(text) : undefined;
  return Object.hasOwn(names, text) ? names[text]?.[0] : undefined;
}

/** IP protocol numbers by name. */
export const protocolNumbers: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  icmp6: 58,
  "ipv6-icmp": 58,
  sctp: 132,
};
