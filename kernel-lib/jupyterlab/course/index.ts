/** Owns our plugins for the course: the panel, the commands around it, and saving after a run. */
import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { Dialog, ICommandPalette, showDialog, showErrorMessage, ToolbarButton } from "@jupyterlab/apputils";
import { PageConfig } from "@jupyterlab/coreutils";
import { IDocumentManager } from "@jupyterlab/docmanager";
import { IMainMenu } from "@jupyterlab/mainmenu";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { MenuSvg, undoIcon } from "@jupyterlab/ui-components";
import { Debouncer } from "@lumino/polling";
import { type Chapter, type ChapterAction, Course } from "./chapters";
import { chapterOf, rewriteOpen, saveAfterRuns } from "./open-notebooks";
import { CoursePanel, courseIcon } from "./panel";

const commandIds = { show: "kubebook:show-course", reset: "kubebook:reset-chapter" } as const;

/** What each rewriting action asks the learner before. */
const questions = {
  reset: {
    title: "Reset this chapter?",
    body: (title: string) =>
      `“${title}” starts again from the original, and so does its kernel. ` +
      "Your copy as it is now is kept beside it, with “before-reset” in its name.",
    accept: "Reset",
  },
  update: {
    title: "Update this chapter?",
    body: (title: string) =>
      `“${title}” has changed since you opened it. The new text is put into your copy; cells that you changed or added stay.`,
    accept: "Update",
  },
} as const;

async function confirmed(action: "reset" | "update", chapter: Chapter): Promise<boolean> {
  const { title, body, accept } = questions[action];
  const button = action === "reset" ? Dialog.warnButton({ label: accept }) : Dialog.okButton({ label: accept });
  const { button: pressed } = await showDialog({
    title,
    body: body(chapter.title),
    buttons: [Dialog.cancelButton(), button],
  });
  return pressed.accept;
}

/** Opening, resetting and updating, with what the page must do around them. */
function chapterActions(app: JupyterFrontEnd, documents: IDocumentManager, course: Course) {
  return async (chapter: Chapter, action: ChapterAction): Promise<void> => {
    if (action === "open") {
      const path = await course.act(chapter.name, "open");
      await app.commands.execute("docmanager:open", { path });
      return;
    }
    if (!(await confirmed(action, chapter))) return;
    const change = async () => {
      await course.act(chapter.name, action);
    };
    await rewriteOpen(documents, chapter.path, change, action === "reset");
  };
}

/** “Reset this chapter” for the notebook in front. */
function addResetCommand(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  course: Course,
  act: (chapter: Chapter, action: ChapterAction) => Promise<void>,
): void {
  const isChapter = () =>
    tracker.currentWidget === app.shell.currentWidget && chapterOf(tracker.currentWidget) !== undefined;
  app.commands.addCommand(commandIds.reset, {
    label: "Reset This Chapter…",
    caption: "Start this chapter again from the original; your copy is kept beside it",
    icon: undoIcon,
    isEnabled: isChapter,
    describedBy: { args: { type: "object", properties: {} } },
    execute: async () => {
      const name = chapterOf(tracker.currentWidget);
      const chapter = (await course.chapters()).find((one) => one.name === name);
      if (chapter) await act(chapter, "reset");
    },
  });
  const refresh = () => app.commands.notifyCommandChanged(commandIds.reset);
  tracker.currentChanged.connect(refresh);
  if (app.shell.currentChanged) app.shell.currentChanged.connect(refresh);
}

/** The same command as a button on a chapter's toolbar; other notebooks do not get it. */
function addResetButton(app: JupyterFrontEnd, tracker: INotebookTracker): void {
  tracker.widgetAdded.connect((_, panel: NotebookPanel) => {
    void panel.context.ready.then(() => {
      if (panel.isDisposed || chapterOf(panel) === undefined) return;
      const button = new ToolbarButton({
        icon: undoIcon,
        label: "Reset",
        tooltip: "Reset this chapter",
        onClick: () => {
          void app.commands.execute(commandIds.reset);
        },
      });
      button.addClass("kubebook-ResetButton");
      panel.toolbar.insertBefore("spacer", "kubebook-reset", button);
    });
  });
}

/** On the first visit nothing else is open yet: starts with the chapter that comes next. */
async function openNext(
  course: Course,
  act: (chapter: Chapter, action: ChapterAction) => Promise<void>,
): Promise<void> {
  const chapters = await course.chapters();
  const next = chapters.find(({ state }) => state !== "done") ?? chapters[0];
  if (next) await act(next, "open");
}

function activateCourse(
  app: JupyterFrontEnd,
  shell: ILabShell,
  documents: IDocumentManager,
  tracker: INotebookTracker,
  restorer: ILayoutRestorer | null,
  palette: ICommandPalette | null,
  menus: IMainMenu | null,
): void {
  const course = new Course(app.serviceManager.serverSettings);
  const change = chapterActions(app, documents, course);
  const act = async (chapter: Chapter, action: ChapterAction) => {
    await change(chapter, action);
    await panel.refresh();
  };
  const panel = new CoursePanel({
    chapters: () => course.chapters(),
    act,
    currentPath: () => tracker.currentWidget?.context.localPath ?? "",
  });
  shell.add(panel, "left", { rank: 50 });
  restorer?.add(panel, panel.id);

  const refresh = new Debouncer(() => panel.refresh(), 200);
  app.serviceManager.contents.fileChanged.connect(() => void refresh.invoke());
  tracker.currentChanged.connect(() => panel.draw());
  saveAfterRuns(tracker);

  app.commands.addCommand(commandIds.show, {
    label: "Show the Course",
    icon: courseIcon,
    describedBy: { args: { type: "object", properties: {} } },
    execute: () => shell.activateById(panel.id),
  });
  addResetCommand(app, tracker, course, act);
  addResetButton(app, tracker);
  for (const command of Object.values(commandIds)) palette?.addItem({ command, category: "Course" });
  if (menus) {
    const menu = new MenuSvg({ commands: app.commands });
    menu.title.label = "Course";
    menu.id = "kubebook-course-menu";
    for (const command of Object.values(commandIds)) menu.addItem({ command });
    menus.addMenu(menu, true, { rank: 900 });
  }
  app.commands.addKeyBinding({ command: commandIds.show, keys: ["Accel Alt C"], selector: "body" });

  void shell.restored.then(async (layout) => {
    if (!layout.fresh) return;
    shell.activateById(panel.id);
    if (PageConfig.getOption("treePath") !== "") return;
    await openNext(course, act).catch((error: unknown) =>
      showErrorMessage("No chapter could be opened", error as Error),
    );
  });
}

const coursePlugin: JupyterFrontEndPlugin<void> = {
  id: "kubebook:course",
  description: "The Course panel: the chapters, how far the learner is, and a way back to the original.",
  autoStart: true,
  requires: [ILabShell, IDocumentManager, INotebookTracker],
  optional: [ILayoutRestorer, ICommandPalette, IMainMenu],
  activate: activateCourse,
};

/** The plugins of the course. */
export const coursePlugins: readonly JupyterFrontEndPlugin<unknown>[] = [coursePlugin];
