/** Owns the kubelet's words on pulls and crashes, and the decision whether an image is used, pulled or refused. */

import type { Image, PullFailure } from "../apps/image";
import { millisecond, type Time } from "../sim/clock";
import { formatDuration } from "../sim/duration";
import { fullReference, type NodeImages, type Pulled } from "./images";
import type { SpecContainer } from "./stages";

/** One event of the kubelet. */
export interface Note {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export type PullDecision =
  | { readonly decision: "use"; readonly image: Image; readonly notes: readonly Note[] }
  | { readonly decision: "pull"; readonly reference: string; readonly notes: readonly Note[] }
  /** It will never work: the reason and message that the container waits with. */
  | { readonly decision: "refuse"; readonly reason: string; readonly message: string; readonly notes: readonly Note[] };

/** What pull policy, name and what the node has come to (pkg/kubelet/images/image_manager.go, v1.36). */
export function decidePull({ image = "", imagePullPolicy }: SpecContainer, images: NodeImages): PullDecision {
  const full = fullReference(image);
  if ("problem" in full) return refuse("InspectFailed", "InvalidImageName", full.problem);
  const present = images.get(full.reference);
  const policy = imagePullPolicy ?? (full.reference.endsWith(":latest") ? "Always" : "IfNotPresent");
  if (present && policy !== "Always") {
    const message = `Container image "${image}" already present on machine and can be accessed by the pod`;
    return { decision: "use", image: present, notes: [{ type: "Normal", reason: "Pulled", message }] };
  }
  if (policy === "Never") {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    return refuse("ErrImageNeverPull", "ErrImageNeverPull", message);
  }
  const notes: Note[] = [{ type: "Normal", reason: "Pulling", message: `Pulling image "${image}"` }];
  return { decision: "pull", reference: full.reference, notes };
}

function refuse(event: string, reason: string, message: string): PullDecision {
  const notes: Note[] = [{ type: "Warning", reason: event, message }, failedNote(reason)];
  return { decision: "refuse", reason, message, notes };
}

/** How a pull that went well is told. */
export function pulledNote(image: string, { took, tookWithWaiting, image: { size } }: Pulled): Note {
  const [alone, inAll] = [took, tookWithWaiting].map((span) => formatDuration(span - (span % millisecond)));
  const times = `in ${alone} (${inAll} including waiting)`;
  const message = `Successfully pulled image "${image}" ${times}. Image size: ${size} bytes.`;
  return { type: "Normal", reason: "Pulled", message };
}

/** How one that failed is told. The kubelet strips a code that says nothing (pkg/kubelet/cri, the remote image service). */
export function pullFailureText({ code, message }: PullFailure): string {
  return code === "Unknown" ? message : `rpc error: code = ${code} desc = ${message}`;
}

/** How a container that waits to be started again is told, by an event and by what it waits with. */
export function crashNote(
  container: string,
  pod: string,
  wait: Time,
): { readonly note: Note; readonly waiting: string } {
  const message = `Back-off restarting failed container ${container} in pod ${pod}`;
  const waiting = `back-off ${formatDuration(wait)} restarting failed container=${container} pod=${pod}`;
  return { note: { type: "Warning", reason: "BackOff", message }, waiting };
}

/** `Error: ErrImagePull`: what a step of a container that failed says. */
export function failedNote(why: string): Note {
  return { type: "Warning", reason: "Failed", message: `Error: ${why}` };
}
