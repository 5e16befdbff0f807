/** Owns running a folder of cases: every file by its base name, and what is said of each. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { judgeFile, judges } from "./index";

/** The checkout: the bundle that this becomes lies in its .cache folder. */
const root = resolve(__dirname, "..");

/** Prints what passes and what fails; exit code 1 on any failure, 2 if there is no such folder. */
export function main([given]: readonly string[]): void {
  // npm runs scripts at the root of the package; what was typed is meant from where it was typed.
  const typed = given && [resolve(process.env.INIT_CWD ?? ".", given), resolve(given)].find((path) => existsSync(path));
  const folder = typed ?? given ?? process.env.KUBEBOOK_CASES ?? join(root, "..", "shared", "cases");
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    process.stderr.write(`error: there is no folder ${resolve(folder)}: npm run cases -- DIR\n`);
    process.exitCode = 2;
    return;
  }
  let [passed, failed] = [0, 0];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()) {
    const name = file.replace(/\.json$/, "");
    if (!Object.hasOwn(judges, name)) {
      process.stdout.write(`${name}: skipped (no judge for this format)\n`);
      continue;
    }
    const found = judgeFile(name, readFileSync(join(folder, file), "utf8"));
    const wrong = found.filter(({ differences }) => differences.length > 0);
    process.stdout.write(`${name}: ${found.length - wrong.length} passed, ${wrong.length} failed\n`);
    for (const one of wrong) {
      process.stdout.write(`  ${one.name}\n${one.differences.map((each) => `    ${shorten(each)}\n`).join("")}`);
    }
    passed += found.length - wrong.length;
    failed += wrong.length;
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

const longest = 2000;

function shorten(text: string): string {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
