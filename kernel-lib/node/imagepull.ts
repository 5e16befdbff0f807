/** Owns the step of a container from its image's name to the image: there already, pulled, refused, or to be tried again. */
import { isPullFailure, type PullFailure } from "../apps/image";
import type { Pulled } from "./images";
import type { PodHost } from "./pod";
import { decidePull, failedNote, type Note, pulledNote, pullFailureText } from "./pull";
import { backOffAfter } from "./restarts";
import type { Life, Stage } from "./stages";

interface Puller {
  readonly host: PodHost;
  tell(note: Note, life?: Life): void;
}

/** Where the step leads. */
interface Steps {
  enter(stage: Stage, why?: { readonly message?: string }): void;
  /** It will take long, or never work: the containers after it need not wait. */
  beginNext(): void;
}

/** Takes a container that is in `pulling` further. */
export function pullImage(life: Life, puller: Puller, steps: Steps): void {
  const { images } = puller.host;
  const decision = decidePull(life.spec, images);
  for (const note of decision.notes) puller.tell(note, life);
  switch (decision.decision) {
    case "use":
      life.image = decision.image;
      steps.enter("creating");
      return;
    case "pull": {
      const again = life.pullFailures > 0 || life.crashes > 1 ? "background" : undefined;
      life.timer = images.pull(decision.reference, (result) => pulled(life, puller, steps, result), again);
      return;
    }
    case "refuse":
      life.reason = decision.reason;
      life.message = decision.message;
      steps.beginNext();
      return;
  }
}

function pulled(life: Life, puller: Puller, steps: Steps, result: Pulled | PullFailure): void {
  const { figures, sim } = puller.host;
  const { image = "" } = life.spec;
  if (!isPullFailure(result)) {
    puller.tell(pulledNote(image, result), life);
    life.image = result.image;
    life.pullFailures = 0;
    steps.enter("creating");
    return;
  }
  const message = pullFailureText(result);
  puller.tell({ type: "Warning", reason: "Failed", message: `Failed to pull image "${image}": ${message}` }, life);
  puller.tell(failedNote("ErrImagePull"), life);
  life.pullFailures++;
  life.until = sim.clock.now + backOffAfter(life.pullFailures, figures.imageBackOff);
  steps.enter("pull-failed", { message });
  steps.beginNext();
}
