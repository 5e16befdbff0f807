/** Owns the list of tools that show processes, namespaces and the container runtime. */
import type { Tools } from "../shell/tool";
import { crictl } from "./crictl";
import { lsns, nsenter } from "./namespaces";
import { ps } from "./ps";

export const runtimeTools: Tools = { crictl, lsns, nsenter, ps };
