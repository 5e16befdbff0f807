/** Owns MetalLB's own kinds (metallb.io, api/v1beta1 and v1beta2 of v0.15), as far as its controller and speakers read them. */
import type { LabelSelector } from "kubernetes-types/meta/v1";
import type { Resource } from "./kinds";

/** Addresses that Services may be given. */
export interface IPAddressPoolSpec {
  /** `192.168.1.0/24` or `192.168.1.240-192.168.1.250`. */
  addresses: string[];
  /** Default true: also for Services that name no pool. */
  autoAssign?: boolean;
  /** Leave out .0 and .255. */
  avoidBuggyIPs?: boolean;
  serviceAllocation?: {
    priority?: number;
    namespaces?: string[];
    namespaceSelectors?: LabelSelector[];
    serviceSelectors?: LabelSelector[];
  };
}

/** Which pools an advertisement is about, and which nodes make it. */
interface Selecting {
  /** Empty: all. */
  ipAddressPools?: string[];
  ipAddressPoolSelectors?: LabelSelector[];
  nodeSelectors?: LabelSelector[];
}

export interface L2AdvertisementSpec extends Selecting {
  interfaces?: string[];
}

export interface BGPAdvertisementSpec extends Selecting {
  /** Default 32. */
  aggregationLength?: number;
  localPref?: number;
  communities?: string[];
  /** Names of BGPPeers. Empty: all. */
  peers?: string[];
}

export interface BGPPeerSpec {
  myASN: number;
  peerASN: number;
  peerAddress: string;
  /** Default 179. */
  peerPort?: number;
  /** Default `90s`. */
  holdTime?: string;
  keepaliveTime?: string;
  nodeSelectors?: LabelSelector[];
}

/** How the API server knows them: their definitions are there if MetalLB is installed. */
export function metallbResource(kind: Resource["kind"], version: string): Resource {
  const singular = kind.toLowerCase();
  const base = { kind, group: "metallb.io", version, singular, plural: `${singular}s`, namespaced: true };
  return { ...base, shortNames: [], categories: [], subresources: [], definedIn: "metallb-system" };
}

/** Their fields, in the words of schema/text.ts. */
export const metallbSchema = `
IPAddressPool apiVersion:string kind:string metadata:ObjectMeta spec:IPAddressPoolSpec status:any
IPAddressPoolSpec addresses:string[] autoAssign:boolean avoidBuggyIPs:boolean serviceAllocation:ServiceAllocation
ServiceAllocation namespaceSelectors:LabelSelector[] namespaces:string[] priority:number serviceSelectors:LabelSelector[]
L2Advertisement apiVersion:string kind:string metadata:ObjectMeta spec:L2AdvertisementSpec status:any
L2AdvertisementSpec interfaces:string[] ipAddressPoolSelectors:LabelSelector[] ipAddressPools:string[] nodeSelectors:LabelSelector[]
BGPAdvertisement apiVersion:string kind:string metadata:ObjectMeta spec:BGPAdvertisementSpec status:any
BGPAdvertisementSpec aggregationLength:number communities:string[] ipAddressPoolSelectors:LabelSelector[] ipAddressPools:string[] localPref:number nodeSelectors:LabelSelector[] peers:string[]
BGPPeer apiVersion:string kind:string metadata:ObjectMeta spec:BGPPeerSpec status:any
BGPPeerSpec holdTime:string keepaliveTime:string myASN:number nodeSelectors:LabelSelector[] peerASN:number peerAddress:string peerPort:number
`;
