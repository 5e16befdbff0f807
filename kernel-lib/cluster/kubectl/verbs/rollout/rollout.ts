/** Owns the door of `kubectl rollout`. */
import { type Verb, verbOfVerbs } from "../../context";
import { pause, restart, resume } from "./change";
import { history } from "./history";
import { status } from "./status";
import { undo } from "./undo";

export const rollout: Verb = verbOfVerbs("rollout", "Manage the rollout of a resource", [
  history,
  pause,
  restart,
  resume,
  status,
  undo,
]);
