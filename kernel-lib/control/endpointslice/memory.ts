/**
 * Owns what is remembered of a Service between two looks, so that a change costs what changed: which endpoint is in
 * which slice. What it answers is what a look at everything would answer.
 */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { Desired, type Member, type NodeOf } from "./desired";
import type { AddressType } from "./endpoint";
import { hintsEnabled } from "./hints";
import { packSlices } from "./packing";
import { finish, hinted, type Placed, type SliceOptions, type SliceWrites, writeAll } from "./reconcile";
import { endpointHash, isUnchanged, type NewSlice, newSlice, portHash, type Slice } from "./slice";

type Pod = Kinds["Pod"];

/** What changed in one group of slices: endpoints to place, and slices that hold one that changed. */
interface Touched {
  readonly candidates: Set<string>;
  readonly slices: Set<string>;
}

/** One Service, as it was when everything was looked at last. */
export class ServiceMemory {
  readonly #desired: Desired;
  readonly #placed: Placed;
  readonly #slices = new Map<string, Slice>();
  /** What to write now, to begin with. */
  readonly first: SliceWrites;

  constructor(
    service: Kinds["Service"],
    nodes: NodeOf,
    pods: readonly Pod[],
    existing: readonly Slice[],
    options: SliceOptions,
  ) {
    this.#desired = new Desired(service, nodes, pods);
    const { writes, placed } = writeAll(this.#desired, existing, options);
    this.#placed = placed;
    this.first = writes;
    const gone = new Set(writes.remove.map(({ metadata }) => metadata.name));
    for (const slice of existing) if (!gone.has(slice.metadata.name)) this.#slices.set(slice.metadata.name, slice);
  }

  get service(): Kinds["Service"] {
    return this.#desired.service;
  }

  /** Told of every slice as it was written. */
  wrote(slice: Slice): void {
    const { name } = slice.metadata;
    this.#slices.set(name, slice);
    const placed = this.#placed.get(slice.addressType as AddressType);
    for (const endpoint of slice.endpoints) placed?.set(endpointHash(endpoint), name);
  }

  /**
   * What to write after some pods changed; undefined: only a look at everything can tell (a list of ports came or went,
   * a slice became empty, a pod's node is not known), and nothing here holds any longer.
   */
  change(pods: Iterable<readonly [Key, Pod | undefined]>, options: SliceOptions): SliceWrites | undefined {
    if (hintsEnabled(this.service.metadata.annotations)) return undefined;
    const touched = new Map<AddressType, Map<string, Touched>>();
    const known = new Set(this.#desired.groups.keys());
    for (const [key, pod] of pods) {
      const before = this.#desired.get(key);
      const now = this.#desired.set(key, pod);
      if (now?.error !== undefined || (before && now && before.hash !== now.hash)) return undefined;
      for (const type of this.#desired.types) this.#touch(touched, type, before, now);
    }
    const { groups } = this.#desired;
    if (groups.size !== known.size || [...groups.keys()].some((hash) => !known.has(hash))) return undefined;
    const done: Pick<SliceWrites, "create" | "update">[] = [];
    for (const [type, byHash] of touched) {
      const part = this.#pack(type, byHash, options);
      if (!part) return undefined;
      done.push(part);
    }
    return {
      create: done.flatMap(({ create }) => create),
      update: done.flatMap(({ update }) => update),
      remove: [],
      errors: [],
      events: [],
    };
  }

  #touch(
    touched: Map<AddressType, Map<string, Touched>>,
    type: AddressType,
    before: Member | undefined,
    now: Member | undefined,
  ): void {
    const [old, endpoint] = [before?.endpoints.get(type), now?.endpoints.get(type)];
    if (old && endpoint && before?.hash === now?.hash && isUnchanged(old, endpoint)) {
      if (endpointHash(old) === endpointHash(endpoint)) return;
    }
    const byHash = touched.get(type) ?? new Map<string, Touched>();
    touched.set(type, byHash);
    const placed = this.#placed.get(type);
    for (const [member, one] of [
      [before, old],
      [now, endpoint],
    ] as const) {
      if (!member || !one) continue;
      const group = byHash.get(member.hash) ?? { candidates: new Set(), slices: new Set() };
      byHash.set(member.hash, group);
      const hash = endpointHash(one);
      const slice = placed?.get(hash);
      if (slice !== undefined) group.slices.add(slice);
      group.candidates.add(hash);
    }
  }

  #pack(
    type: AddressType,
    byHash: ReadonlyMap<string, Touched>,
    options: SliceOptions,
  ): Pick<SliceWrites, "create" | "update"> | undefined {
    const { service, groups } = this.#desired;
    const create: NewSlice[] = [];
    const update: Slice[] = [];
    for (const [hash, { candidates, slices }] of byHash) {
      const group = groups.get(hash);
      if (!group) return undefined;
      const own = [...this.#slices.values()].filter((slice) => {
        return slice.addressType === type && portHash(slice.ports ?? []) === hash;
      });
      if (own.length === 0) return undefined;
      const packed = packSlices({
        service,
        slices: own,
        wanted: group.endpoints.get(type) ?? new Map(),
        candidates,
        isTouched: ({ metadata }) => slices.has(metadata.name),
        placed: this.#placed.get(type) ?? new Map(),
        make: () => newSlice(service, group.ports, type, options.controller),
        ...options,
      });
      if (packed.remove.length > 0) return undefined;
      create.push(...packed.create);
      update.push(...packed.update);
    }
    const slicing = hinted(service, type, { create, update, unchanged: [] }, options);
    return finish(service, slicing, [], options.trigger);
  }
}
