/** Owns how one chapter looks in the Course panel. */
import { refreshIcon, undoIcon } from "@jupyterlab/ui-components";
import { type Chapter, type ChapterAction, type ChapterState, chapterNumber } from "./chapters";

/** The state in a word, with a mark of its own shape: colour alone tells nothing to many. */
const states: Readonly<Record<ChapterState, { readonly word: string; readonly mark: string }>> = {
  new: { word: "New", mark: `<circle cx="8" cy="8" r="6" fill="none"/>` },
  opened: { word: "Opened", mark: `<circle cx="8" cy="8" r="6" fill="none"/><path d="M8 2a6 6 0 0 1 0 12z"/>` },
  done: { word: "Done", mark: `<circle cx="8" cy="8" r="6"/><path class="kubebook-tick" d="M5 8.2l2.2 2.3L11.2 6"/>` },
};

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** A cell of the grid with one button. All are out of the tab order; the panel lets one in ("roving tabindex"). */
function buttonCell(className: string, action: ChapterAction, label: string, ...children: (Node | string)[]) {
  const button = element("button", className, ...children);
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.action = action;
  button.title = label;
  button.setAttribute("aria-label", label);
  const cell = element("div", "kubebook-Course-cell", button);
  cell.setAttribute("role", "gridcell");
  return cell;
}

function stateMark(state: ChapterState): HTMLElement {
  const mark = element("span", "kubebook-Course-mark");
  mark.innerHTML = `<svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">${states[state].mark}</svg>`;
  return mark;
}

/**
 * The row of a chapter: a button that opens it, and where they make sense buttons for its update and its reset.
 * `current`: it is the notebook in front.
 */
export function chapterRow(chapter: Chapter, current: boolean): HTMLElement {
  const { name, title, minutes, goals, state, update } = chapter;
  const number = chapterNumber(name);
  const { word } = states[state];
  const facts = element("span", "kubebook-Course-facts", `${minutes} min`, stateMark(state), word);
  const text = element("span", "kubebook-Course-text", element("span", "kubebook-Course-title", title), facts);
  const openLabel = `Chapter ${number}: ${title}, ${minutes} minutes, ${word.toLowerCase()}`;
  const badge = element("span", "kubebook-Course-number", number);
  const open = buttonCell("kubebook-Course-open", "open", openLabel, badge, text);
  open.querySelector("button")?.setAttribute("title", [title, ...goals.map((goal) => `• ${goal}`)].join("\n"));

  const row = element("div", "kubebook-Course-row", open);
  row.setAttribute("role", "row");
  row.dataset.chapter = name;
  row.dataset.state = state;
  if (current) row.setAttribute("aria-current", "true");
  if (state !== "new") {
    row.append(
      buttonCell("kubebook-Course-reset", "reset", `Reset chapter ${number}`, undoIcon.element({ width: "14px" })),
    );
  }
  if (update) {
    const label = `Update chapter ${number}: it has changed since you opened it`;
    const icon = refreshIcon.element({ width: "14px" });
    const cell = buttonCell("kubebook-Course-update", "update", label, icon, "Update available");
    cell.classList.add("kubebook-mod-update");
    row.append(cell);
  }
  return row;
}
