/** Owns the numbers that a node's kernel hands out: process ids, and the inode numbers that are the names of namespaces. */

/** The namespaces of a process (namespaces(7)), each by its inode number: `readlink /proc/1/ns/net` → `net:[4026532281]`. */
export interface Namespaces {
  readonly net: number;
  readonly uts: number;
  readonly ipc: number;
  readonly pid: number;
  readonly mnt: number;
  readonly cgroup: number;
  readonly user: number;
}

/** Those of the machine's first process: fixed numbers of the kernel (include/linux/proc_ns.h), net and mnt the first free ones. */
export const hostNamespaces: Namespaces = {
  net: 4_026_531_840,
  mnt: 4_026_531_841,
  ipc: 4_026_531_839,
  uts: 4_026_531_838,
  user: 4_026_531_837,
  pid: 4_026_531_836,
  cgroup: 4_026_531_835,
};

/** What the machine's own services take before the first pod comes. */
const firstPid = 1_204;
const firstInode = 4_026_532_208;
/** A shim, its threads and runc's own processes take numbers too, and so do the files of a new network namespace. */
const pidStep = 11;
const netInodeStep = 71;

/** One node's. Numbers are handed out in order and never again. */
export class KernelNumbers {
  #pid = firstPid;
  #inode = firstInode;
  readonly #before: () => void;

  /** @param before does what came up earlier and was put off: it has lower numbers */
  constructor(before: () => void = () => {}) {
    this.#before = before;
  }

  /** A process id. */
  nextPid(): number {
    this.#before();
    this.#pid += pidStep;
    return this.#pid;
  }

  /** The inode number of a new namespace. */
  nextNamespace(kind: keyof Namespaces): number {
    this.#before();
    const inode = this.#inode;
    this.#inode += kind === "net" ? netInodeStep : 1;
    return inode;
  }
}
