/** Owns `npm run bench`: compiles the measurements, runs them one after another and prints each beside its aim. */
import { runMain } from "../compiled.mjs";

await runMain(import.meta.url);
