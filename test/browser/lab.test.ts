/** Owns the test of the page as a learner meets it: JupyterLab in Chromium over our server and our kernel. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bundleLab } from "../../kernel-lib/cli/bundle";
import { startServer } from "../../kernel-lib/course/server";
import { requireOrSkip } from "../judges";
import { chromiumPath, launch, type WatchedPage, watchedPage, watchPage } from "./browser";
import { writeChapters } from "./fixture";
import {
  chapterRow,
  contrast,
  expectIdle,
  expectOpen,
  expectState,
  focused,
  menu,
  notebook,
  openLab,
  prompts,
  runAll,
} from "./lab";

const root = path.resolve(import.meta.dirname, "../..");
const golden = path.join(root, "notebooks");
/** The first chapter that draws a chart. */
const realChapter = fs
  .readdirSync(golden)
  .filter((file) => /^\d+-.*\.ipynb$/.test(file) && !file.includes(".changed."))
  .find((file) => fs.readFileSync(path.join(golden, file), "utf8").includes("application/vnd.vegalite.v5+json"));

let assets: string;
let browser: Browser;
let folder: string;
let server: Awaited<ReturnType<typeof startServer>>;
let watched: WatchedPage;

beforeAll(async () => {
  if (chromiumPath === undefined) return;
  assets = (await bundleLab(root, () => undefined)).directory;
  browser = await launch();
}, 180_000);

afterAll(() => browser?.close());

/** A server with work of its own over these notebooks, and a fresh page; `first` fills the folder before. */
async function begin(notebooksDirectory: string): Promise<void> {
  server = await startServer({ workDirectory: path.join(folder, "work"), notebooksDirectory, assets, port: 0 });
  watched = await watchedPage(browser, new URL(server.url).origin);
}

beforeEach((context) => {
  requireOrSkip(
    context,
    chromiumPath !== undefined,
    "Chromium is not installed (KUBEBOOK_CHROMIUM names one elsewhere)",
  );
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "kubebook-browser-"));
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail" && watched) {
    // What the learner would have seen, and what the page noted, to look at afterwards.
    const name = path.join(root, ".cache", "browser", task.name.replace(/\W+/g, "-").slice(0, 60));
    await watched.page.screenshot({ path: `${name}.png` });
    fs.writeFileSync(`${name}.txt`, watched.problems.join("\n"));
  }
  await watched?.context.close();
  await server?.stop();
  if (folder) fs.rmSync(folder, { recursive: true, force: true });
});

const readCopy = (name: string) => fs.readFileSync(path.join(folder, "work", `${name}.ipynb`), "utf8");

describe("the course in JupyterLab", { timeout: 120_000 }, () => {
  it("opens the next chapter, runs it, shows text and charts, and calls it done", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first, second] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    await expectState(page, first, "Opened");
    await expectState(page, second, "New");
    expect(await chapterRow(page, first).getAttribute("aria-current")).toBe("true");
    await expectIdle(page);
    // TypeScript is coloured as such: `readonly` is a keyword there and an error in JavaScript.
    expect(await notebook(page).locator(".jp-CodeCell .cm-line span", { hasText: "readonly" }).count()).toBe(1);

    await runAll(page);
    const outputs = notebook(page).locator(".jp-CodeCell .jp-OutputArea-output");
    expect(await outputs.nth(0).textContent()).toBe("There are 3 pods.\n");
    for (const version of [5, 6]) {
      const picture = notebook(page).locator(
        `[role='graphics-document'][aria-label="Requests per pod, version ${version}"]`,
      );
      await picture.waitFor();
      expect(await picture.locator("[aria-roledescription='bar']").count()).toBe(3);
      expect(await contrast(picture.locator("text", { hasText: "requests" }).last())).toBeGreaterThan(4.5);
    }
    await expectState(page, first, "Done");
    expect(readCopy(first)).toContain("There are 3 pods.");
    expect(fs.readFileSync(path.join(notebooks, `${first}.ipynb`), "utf8")).not.toContain('"execution_count": 1');
    expect(problems).toEqual([]);
  });

  it("works with the keyboard alone: to the panel, along it, opening and resetting", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first, second] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    await runAll(page);
    await expectState(page, first, "Done");

    await page.keyboard.press("Control+Alt+c");
    expect(await focused(page)).toBe("Chapter 1: First outputs, 7 minutes, done");
    await page.keyboard.press("ArrowDown");
    expect(await focused(page)).toBe("Chapter 2: Hostile outputs, 7 minutes, new");
    await page.keyboard.press("Enter");
    await expectOpen(page, second);
    await expectState(page, second, "Opened");

    await page.keyboard.press("Control+Alt+c");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    expect(await focused(page)).toBe("Reset chapter 1");
    await page.keyboard.press("Enter");
    await page.locator(".jp-Dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".jp-Dialog").waitFor({ state: "detached" });
    await expectState(page, first, "Done");

    await page.keyboard.press("Control+Alt+c");
    expect(await focused(page)).toBe("Reset chapter 1");
    await page.keyboard.press("Enter");
    await page.locator(".jp-Dialog").waitFor();
    await page.keyboard.press("Enter");
    await expectState(page, first, "Opened");
    expect(readCopy(first)).not.toContain('"name": "stdout"');
    expect(fs.readdirSync(path.join(folder, "work"))).toContain(`${first}.before-reset-1.ipynb`);
    await page.keyboard.press("Control+Alt+c");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Enter");
    await expectOpen(page, first);
    await expect.poll(() => prompts(page)).toEqual(["[ ]:", "[ ]:", "[ ]:"]);
    expect(problems).toEqual([]);
  });

  it("can be read in the dark theme, charts too, without running anything again", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    await runAll(page);
    const label = notebook(page).locator("svg.marks text", { hasText: "requests" }).first();
    await label.waitFor();
    await page.locator(".lm-MenuBar-itemLabel", { hasText: "Settings" }).click();
    await page.locator(".lm-Menu-item[data-type='submenu']", { hasText: /^Theme$/ }).click();
    await page.locator(".lm-Menu-item[data-command='apputils:change-theme']", { hasText: /^JupyterLab Dark$/ }).click();
    await page.locator("body[data-jp-theme-name='JupyterLab Dark']").waitFor({ state: "attached" });
    await expectState(page, first, "Done");
    await expect.poll(() => contrast(label)).toBeGreaterThan(4.5);
    for (const part of ["number", "title", "facts"]) {
      expect(await contrast(chapterRow(page, first).locator(`.kubebook-Course-${part}`)), part).toBeGreaterThan(4.5);
    }
    expect(problems).toEqual([]);
  });

  it("runs no script from an output and loads nothing that a chart asks for", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first, second] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    await chapterRow(page, second).locator("button[data-action='open']").click();
    await expectOpen(page, second);
    await runAll(page);
    await notebook(page).locator("b", { hasText: "Bold" }).waitFor();
    await notebook(page).locator("text=charts load nothing from elsewhere").first().waitFor();
    await notebook(page).locator("[role='graphics-document'][aria-label='Requests per pod, version 5']").waitFor();
    expect(
      await page.evaluate(() => "hostile" in window && window.hostile !== document.getElementById("hostile")),
    ).toBe(false);
    // The browser reports what the page's policy refused; that, and only that, may stand here.
    const refused = /^console: .* Content Security Policy directive|^failed: GET \S+ csp$/;
    expect(problems.filter((problem) => !refused.test(problem))).toEqual([]);
  });

  it("runs a chapter of the course with charts to its end", async (context) => {
    requireOrSkip(context, realChapter !== undefined, "there is no built chapter in notebooks/");
    const name = path.basename(realChapter ?? "", ".ipynb");
    await begin(golden);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await chapterRow(page, name).click();
    await expectOpen(page, name);
    await expectIdle(page);
    // What the kernel says of its language is what the notebook says already: opening changes nothing.
    expect(await page.locator(".lm-DockPanel-tabBar .jp-mod-dirty").count()).toBe(0);
    await runAll(page);
    await expectState(page, name, "Done");
    await notebook(page).locator("svg.marks").first().waitFor();
    expect(problems).toEqual([]);
  });

  it("resets the chapter in front from the menu", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    await runAll(page);
    await expectState(page, first, "Done");
    await menu(page, "Course", "kubebook:reset-chapter");
    await page.locator(".jp-Dialog button", { hasText: "Reset" }).click();
    await expectState(page, first, "Opened");
    await expect.poll(() => prompts(page)).toEqual(["[ ]:", "[ ]:", "[ ]:"]);
    expect(problems).toEqual([]);
  });

  it("offers a chapter's new text, and keeps what the learner wrote when it is taken", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, problems } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    const golden = path.join(notebooks, `${first}.ipynb`);
    fs.writeFileSync(golden, fs.readFileSync(golden, "utf8").replace("Its share is", "The share of each is"));
    await notebook(page).locator(".jp-CodeCell .cm-content").first().click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(" // mine");
    await runAll(page);
    const offer = chapterRow(page, first).locator("button[data-action='update']");
    await offer.click();
    await page.locator(".jp-Dialog button", { hasText: "Update" }).click();
    await notebook(page).locator(".jp-MarkdownCell", { hasText: "The share of each is" }).waitFor();
    await offer.waitFor({ state: "detached" });
    expect(await notebook(page).locator(".jp-CodeCell .cm-content").first().textContent()).toContain("// mine");
    expect(problems).toEqual([]);
  });

  it("comes back as it was left", async () => {
    const notebooks = path.join(folder, "notebooks");
    const [first] = writeChapters(notebooks);
    await begin(notebooks);
    const { page, context } = watched;
    await openLab(page, server.url);
    await expectOpen(page, first);
    await runAll(page);
    await expectState(page, first, "Done");
    const workspaces = path.join(folder, "work", ".kubebook", "workspaces");
    await expect.poll(() => fs.existsSync(workspaces) && fs.readdirSync(workspaces).length).toBe(1);
    await page.close();

    const again = await watchPage(context, new URL(server.url).origin);
    await openLab(again.page, server.url);
    await expectOpen(again.page, first);
    await expectState(again.page, first, "Done");
    expect(await notebook(again.page).locator(".jp-OutputArea-output").first().textContent()).toBe(
      "There are 3 pods.\n",
    );
    expect(again.problems).toEqual([]);
  });
});
