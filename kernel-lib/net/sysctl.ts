/** Owns the kernel's settings of a namespace, as far as something here asks for them. */

/** Kernel settings that a node's software turns on; the defaults are a fresh namespace's. */
export interface Sysctl {
  /** net.ipv4.ip_forward */
  ipForward: boolean;
  /** net.bridge.bridge-nf-call-iptables */
  bridgeNfCallIptables: boolean;
  /** net.bridge.bridge-nf-call-ip6tables */
  bridgeNfCallIp6tables: boolean;
  /** net.ipv4.conf.all.route_localnet */
  routeLocalnet: boolean;
  /** net.ipv6.conf.all.forwarding */
  ipv6Forward: boolean;
  /** net.ipv4.vs.conntrack: connections of IPVS are tracked, so that iptables may masquerade them. */
  vsConntrack: boolean;
  /** net.ipv4.vs.conn_reuse_mode: a SYN on ports that were used before may be given another real server. */
  vsConnReuse: boolean;
  /** net.ipv4.vs.expire_nodest_conn: connections to a real server that is gone end with their next packet. */
  vsExpireNodestConn: boolean;
  /** net.ipv4.vs.expire_quiescent_template: clients do not stay with a real server of weight 0. */
  vsExpireQuiescentTemplate: boolean;
  /** net.ipv4.conf.all.arp_ignore 1: ARP answers only for addresses of the device that it is asked on. */
  arpIgnore: boolean;
  /** net.ipv4.fib_multipath_hash_policy: what a flow is, of several next hops: 0 its addresses, 1 its ports, too. */
  fibMultipathHashPolicy: 0 | 1;
  /** net.ipv6.conf.all.disable_ipv6: no link-local addresses */
  disableIpv6: boolean;
}

/** A fresh namespace's. */
export function freshSysctl(): Sysctl {
  return {
    ipForward: false,
    bridgeNfCallIptables: false,
    bridgeNfCallIp6tables: false,
    routeLocalnet: false,
    ipv6Forward: false,
    vsConntrack: false,
    vsConnReuse: true,
    vsExpireNodestConn: false,
    vsExpireQuiescentTemplate: false,
    arpIgnore: false,
    fibMultipathHashPolicy: 0,
    disableIpv6: false,
  };
}
