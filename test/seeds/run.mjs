/** Owns `npm run test:seeds`: compiles the suite of seeds, and runs it over worker processes. */
import { runMain } from "../compiled.mjs";

await runMain(import.meta.url);
