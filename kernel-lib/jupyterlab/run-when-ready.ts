/** Owns that cells may be run as soon as they can be seen, before their kernel has been asked for. */
import type { JupyterFrontEndPlugin } from "@jupyterlab/application";
import type { ISessionContext } from "@jupyterlab/apputils";
import { INotebookCellExecutor, runCell } from "@jupyterlab/notebook";

const opened = new WeakMap<ISessionContext, Promise<void>>();

/** A promise for the notebook's session, one per notebook, so that those who wait for it go on in their order. */
function sessionOpened(session: ISessionContext): Promise<void> {
  const known = opened.get(session);
  if (known) return known;
  const made = open(session);
  opened.set(session, made);
  return made;
}

/** The document opens its session last of all, just after it has noted which kernel the notebook names. */
async function open(session: ISessionContext): Promise<void> {
  for (let waited = 0; waited < 5000 && !session.isReady && !session.kernelPreference.name; waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await session.initialize();
}

/**
 * JupyterLab's own executor lets each cell that finds no kernel start one. When Run All comes in the half second in
 * which the notebook's session is still being opened, these starts get in each other's way and all but one cell are
 * silently dropped. Here they wait for the session.
 */
export const cellExecutor: JupyterFrontEndPlugin<INotebookCellExecutor> = {
  id: "kubebook:cell-executor",
  description: "Runs notebook cells, once the notebook's session is open.",
  autoStart: true,
  provides: INotebookCellExecutor,
  activate: () =>
    Object.freeze({
      runCell: async (options: INotebookCellExecutor.IRunCellOptions) => {
        if (options.cell.model.type === "code" && options.sessionContext) await sessionOpened(options.sessionContext);
        return runCell(options);
      },
    }),
};
