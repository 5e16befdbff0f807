/** Owns how a test uses JupyterLab's page: what to click, what to wait for. */

import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

/** A kernel starts, a cell compiles: generous, since nothing waits longer than it must. */
const patience = 60_000;

/** Opens the page and waits until JupyterLab has put back its layout. */
export async function openLab(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.waitForSelector("#kubebook-loading", { state: "detached", timeout: patience });
}

/** The row of a chapter in the Course panel. */
export function chapterRow(page: Page, name: string): Locator {
  return page.locator(`.kubebook-Course [role="row"][data-chapter="${name}"]`);
}

/** Waits until the panel says so. */
export async function expectState(page: Page, name: string, state: "New" | "Opened" | "Done"): Promise<void> {
  const facts = chapterRow(page, name).locator(".kubebook-Course-facts");
  await expect.poll(() => facts.textContent(), { timeout: patience, message: `state of ${name}` }).toContain(state);
}

/** The notebook in front. */
export function notebook(page: Page): Locator {
  return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)");
}

/** Waits until this chapter is in front and its cells can be seen; the kernel may still be starting, as for a learner. */
export async function expectOpen(page: Page, name: string): Promise<void> {
  await page.locator(`.lm-DockPanel-tabBar .lm-mod-current:has-text("${name}.ipynb")`).waitFor({ timeout: patience });
  await notebook(page).locator(".jp-CodeCell .cm-line").first().waitFor({ timeout: patience });
}

/** Waits until the kernel has said who it is and has nothing to do. */
export async function expectIdle(page: Page): Promise<void> {
  await page
    .locator("#jp-main-statusbar", { hasText: /TypeScript \(kubebook\) \| Idle/ })
    .waitFor({ timeout: patience });
}

/** Runs a menu's command as a learner does. */
export async function menu(page: Page, title: string, command: string): Promise<void> {
  await page.locator(".lm-MenuBar-itemLabel", { hasText: new RegExp(`^${title}$`) }).click();
  await page.locator(`.lm-Menu-item[data-command="${command}"]`).first().click();
}

/** Run → Run All Cells; back when no cell waits or runs any more. */
export async function runAll(page: Page): Promise<void> {
  await menu(page, "Run", "runmenu:run-all");
  await expect
    .poll(() => prompts(page), { timeout: patience, message: "prompts of the cells" })
    .toSatisfy((texts: string[]) => texts.length > 0 && texts.every((text) => /^\[\d+\]:$/.test(text)));
}

/** The prompts of all code cells. */
export function prompts(page: Page): Promise<string[]> {
  return notebook(page).locator(".jp-CodeCell .jp-InputArea-prompt").allTextContents();
}

/** The accessible name of what has the focus. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
}

/** How well text stands out from what is behind it (WCAG 2, "contrast ratio"). */
export function contrast(locator: Locator): Promise<number> {
  return locator.evaluate((element) => {
    const channels = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (color: string) => {
      const [red = 0, green = 0, blue = 0] = channels(color).map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const opaque = (color: string) => color !== "transparent" && channels(color)[3] !== 0;
    let behind: Element | null = element;
    while (behind && !opaque(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const paper = behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)";
    const [darker = 0, lighter = 1] = [luminance(ink), luminance(paper)].sort((a, b) => a - b);
    return (lighter + 0.05) / (darker + 0.05);
  });
}
