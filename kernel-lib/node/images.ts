/** Owns the images that a node has, and the pulls that wait for one another. */
import { type Image, isPullFailure, type PullFailure, type Registry } from "../apps/image";
import { formatReference, parseReference } from "../apps/reference";
import { second, type Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import type { NodeFigures } from "./figures";

/** How a pull came out. */
export interface Pulled {
  readonly image: Image;
  /** The pull itself, and with the wait for those before it. */
  readonly took: Time;
  readonly tookWithWaiting: Time;
}

/** The image cache of one node, and its puller: one pull after another (`serializeImagePulls`, on by default). */
export class NodeImages {
  readonly #sim: Sim;
  readonly #registry: Registry;
  readonly #figures: NodeFigures;
  readonly #present = new Map<string, Image>();
  #free: Time = 0;

  constructor(sim: Sim, registry: Registry, figures: NodeFigures) {
    this.#sim = sim;
    this.#registry = registry;
    this.#figures = figures;
  }

  /** What is on the node, in the order of arrival. */
  list(): readonly Image[] {
    return [...this.#present.values()];
  }

  /** The image of a reference in full, if the node has it. */
  get(reference: string): Image | undefined {
    return this.#present.get(reference);
  }

  /** Pulls, and tells when it is done or has failed. A tag that the node has costs one question to the registry. */
  pull(reference: string, told: (result: Pulled | PullFailure) => void, kind?: "background"): { cancel(): void } {
    const { clock } = this.#sim;
    const asked = clock.now;
    const began = Math.max(asked, this.#free);
    const result = this.#registry.pull(reference);
    const took = isPullFailure(result) ? this.#figures.pullFailure : this.#timeFor(result);
    this.#free = began + took;
    const tell = (): void => {
      if (isPullFailure(result)) {
        told(result);
        return;
      }
      this.#present.set(reference, result);
      told({ image: result, took, tookWithWaiting: clock.now - asked });
    };
    return clock.after(began + took - asked, tell, kind);
  }

  #timeFor(image: Image): Time {
    const { registryRequest, pullRate } = this.#figures;
    const layers = this.#present.has(image.reference) ? 0 : Math.round((image.size / pullRate) * second);
    return registryRequest + layers;
  }
}

/** A spec's image in full, or the kubelet's sentence why it is none. */
export function fullReference(image: string): FullReference {
  const known = read.get(image);
  if (known) return known;
  if (read.size >= remembered) read.clear();
  const full = readReference(image);
  read.set(image, full);
  return full;
}

type FullReference = { readonly reference: string } | { readonly problem: string };

const read = new Map<string, FullReference>();
const remembered = 1_000;

function readReference(image: string): FullReference {
  const parsed = parseReference(image);
  if (!("problem" in parsed)) return { reference: formatReference(parsed) };
  return {
    problem: `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${parsed.problem}`,
  };
}
