/** Owns `npm run cases`: compiles the judges of Kubernetes' own cases, and runs them on the files of a folder. */
import { runMain } from "../compiled.mjs";

await runMain(import.meta.url);
