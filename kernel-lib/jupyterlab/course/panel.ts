/** Owns the Course panel in the left side bar: the list of chapters, its focus and its keys. */
import { LabIcon } from "@jupyterlab/ui-components";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import type { Chapter, ChapterAction } from "./chapters";
import { chapterRow } from "./row";

/** An open book: the mark of the course. */
export const courseIcon = new LabIcon({
  name: "kubebook:course",
  svgstr: [
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161" d="',
    "M12 5.5C10 4.2 7.3 3.5 3.5 3.5a1 1 0 0 0-1 1v13a1 1 0 0 0 1 1c3.5 0 6 .6 7.8 1.9a1.2 1.2 0 0 0 1.4 0",
    "c1.8-1.3 4.3-1.9 7.8-1.9a1 1 0 0 0 1-1v-13a1 1 0 0 0-1-1c-3.8 0-6.5.7-8.5 2z",
    "M11 17.8c-1.7-.8-3.8-1.2-6.5-1.3v-11c3 .1 5 .7 6.5 1.7z",
    "M19.5 16.5c-2.7.1-4.8.5-6.5 1.3V7.2c1.5-1 3.5-1.6 6.5-1.7z",
    '"/></svg>',
  ].join(" "),
});

/** What the panel needs of the page around it. */
export interface CourseActions {
  chapters(): Promise<readonly Chapter[]>;
  /** Does it, and refreshes the panel after. */
  act(chapter: Chapter, action: ChapterAction): Promise<void>;
  /** Path of the notebook in front, or "". */
  currentPath(): string;
}

/** Keys that move the focus: how many rows down, how many buttons to the right. */
const moves: Readonly<Record<string, readonly [rows: number, buttons: number]>> = {
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
  Home: [-Infinity, 0],
  End: [Infinity, 0],
};

/** The panel. Its list is an ARIA grid: one stop for Tab, arrows inside, Enter and Space press. */
export class CoursePanel extends Widget {
  private readonly grid = document.createElement("div");
  private readonly progress = document.createElement("div");
  private readonly notice = document.createElement("div");
  private chapters: readonly Chapter[] = [];
  private asked = 0;

  constructor(private readonly actions: CourseActions) {
    super();
    this.id = "kubebook-course";
    this.addClass("kubebook-Course");
    this.title.icon = courseIcon;
    this.title.caption = "Course";
    const heading = document.createElement("h2");
    heading.textContent = "Course";
    this.progress.className = "kubebook-Course-progress";
    this.grid.className = "kubebook-Course-grid";
    this.grid.setAttribute("role", "grid");
    this.grid.setAttribute("aria-label", "Chapters");
    this.notice.className = "kubebook-Course-notice";
    this.notice.setAttribute("role", "status");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "Course");
    this.node.append(heading, this.progress, this.grid, this.notice);
    this.grid.addEventListener("click", (event) => this.pressed(event));
    this.grid.addEventListener("keydown", (event) => this.moved(event));
    this.grid.addEventListener("focusin", (event) => this.admit(event.target as HTMLElement));
  }

  /** Asks the server again and redraws. Of two overlapping calls the later one wins. */
  async refresh(): Promise<void> {
    const turn = ++this.asked;
    try {
      const chapters = await this.actions.chapters();
      if (turn !== this.asked || this.isDisposed) return;
      this.chapters = chapters;
      this.say(chapters.length === 0 ? "There are no chapters yet. `kubebook build` makes them." : "");
      this.draw();
    } catch (error) {
      if (turn !== this.asked || this.isDisposed) return;
      this.say(`The chapters cannot be read: ${error instanceof Error ? error.message : String(error)}`, () => {
        void this.refresh();
      });
    }
  }

  /** Redraws what is known, keeping the focus where it is. */
  draw(): void {
    const focused = this.focusedPlace();
    const current = this.actions.currentPath();
    this.grid.replaceChildren(...this.chapters.map((chapter) => chapterRow(chapter, chapter.path === current)));
    const rows = this.rows();
    const row = rows.find(({ dataset }) => dataset.chapter === focused?.chapter) ?? rows[0];
    const target = row && (buttons(row).find(({ dataset }) => dataset.action === focused?.action) ?? buttons(row)[0]);
    if (target) this.admit(target);
    if (focused?.active) target?.focus();
    this.drawProgress();
  }

  protected override onActivateRequest(_message: Message): void {
    this.grid.querySelector<HTMLElement>("button[tabindex='0']")?.focus();
  }

  protected override onBeforeShow(_message: Message): void {
    void this.refresh();
  }

  private drawProgress(): void {
    const total = this.chapters.length;
    const done = this.chapters.filter(({ state }) => state === "done").length;
    this.progress.replaceChildren();
    if (total === 0) return;
    const bar = document.createElement("progress");
    bar.max = total;
    bar.value = done;
    bar.setAttribute("aria-label", "Chapters done");
    this.progress.replaceChildren(bar, `${done} of ${total} done`);
  }

  private say(text: string, retry?: () => void): void {
    this.notice.textContent = text;
    if (!retry) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "kubebook-Course-retry";
    button.textContent = "Try again";
    button.addEventListener("click", retry);
    this.notice.append(button);
  }

  private rows(): HTMLElement[] {
    return [...this.grid.querySelectorAll<HTMLElement>("[role='row']")];
  }

  private pressed(event: MouseEvent): void {
    const button = (event.target as HTMLElement).closest<HTMLElement>("button[data-action]");
    const name = button?.closest<HTMLElement>("[data-chapter]")?.dataset.chapter;
    const chapter = this.chapters.find((one) => one.name === name);
    if (!button || !chapter) return;
    this.actions
      .act(chapter, button.dataset.action as ChapterAction)
      .catch((error: unknown) => this.say(error instanceof Error ? error.message : String(error)));
  }

  private moved(event: KeyboardEvent): void {
    const move = moves[event.key];
    const button = (event.target as HTMLElement).closest<HTMLElement>("button[data-action]");
    const row = button?.closest<HTMLElement>("[role='row']");
    if (!move || !button || !row || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const rows = this.rows();
    const next = rows[clamp(rows.indexOf(row) + move[0], rows.length)] ?? row;
    const column = buttons(row).indexOf(button) + move[1];
    const choices = buttons(next);
    choices[clamp(column, choices.length)]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** Lets one button into the tab order, and only that one. */
  private admit(target: HTMLElement): void {
    for (const button of this.rows().flatMap(buttons)) button.tabIndex = button === target ? 0 : -1;
  }

  private focusedPlace(): { chapter?: string; action?: string; active: boolean } | undefined {
    const stop = this.grid.querySelector<HTMLElement>("button[tabindex='0']");
    const chapter = stop?.closest<HTMLElement>("[data-chapter]")?.dataset.chapter;
    const action = stop?.dataset.action;
    if (!stop || chapter === undefined || action === undefined) return undefined;
    return { chapter, action, active: stop === document.activeElement };
  }
}

function buttons(row: HTMLElement): HTMLElement[] {
  return [...row.querySelectorAll<HTMLElement>("button[data-action]")];
}

function clamp(index: number, length: number): number {
  return Math.max(0, Math.min(length - 1, index));
}
