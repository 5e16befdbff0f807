/** Owns what the course does to notebooks that are open: knows which are chapters, saves, reloads and restarts them. */
import type { IDocumentManager } from "@jupyterlab/docmanager";
import type { DocumentRegistry } from "@jupyterlab/docregistry";
import { type INotebookTracker, NotebookActions, type NotebookPanel } from "@jupyterlab/notebook";

/** The chapter that this notebook is a copy of, from the metadata that the build wrote; undefined for others. */
export function chapterOf(panel: NotebookPanel | null): string | undefined {
  const mark: unknown = panel?.model?.getMetadata("kubebook");
  if (typeof mark !== "object" || mark === null || !("chapter" in mark)) return undefined;
  return typeof mark.chapter === "string" ? mark.chapter : undefined;
}

/**
 * Saves a chapter whenever a run of its cells has ended, well or badly: the server tells from the saved copy how far
 * the learner is. Other notebooks keep JupyterLab's own ways.
 */
export function saveAfterRuns(tracker: INotebookTracker): void {
  NotebookActions.selectionExecuted.connect((_, { notebook }) => {
    const panel = tracker.find(({ content }) => content === notebook);
    if (!panel || chapterOf(panel) === undefined || !panel.model?.dirty) return;
    // The signal comes from inside the run; the outputs' last changes land before the next task.
    setTimeout(() => {
      if (!panel.isDisposed) void panel.context.save();
    });
  });
}

/** Every open document over this file. */
function contextOf(documents: IDocumentManager, path: string): DocumentRegistry.Context | undefined {
  const widget = documents.findWidget(path, null);
  return widget && documents.contextForWidget(widget);
}

/**
 * Lets `change` rewrite the file on the server: what is in the editor is saved before, so that nothing unsaved is lost,
 * and shown anew after. With `restart` the kernel starts anew as well.
 */
export async function rewriteOpen(
  documents: IDocumentManager,
  path: string,
  change: () => Promise<void>,
  restart: boolean,
): Promise<void> {
  const context = contextOf(documents, path);
  if (context?.model.dirty) await context.save();
  await change();
  if (!context || context.isDisposed) return;
  await context.revert();
  if (restart && context.sessionContext.session?.kernel) await context.sessionContext.restartKernel();
}
