/** Owns the start of the page: gathers JupyterLab's plugins and ours, and starts the application. */

import { plugins, renderers } from "kubebook:extensions";
import { type JupyterFrontEndPlugin, JupyterLab } from "@jupyterlab/application";
import { IConnectionStatus, IServiceManager } from "@jupyterlab/services";
import { PluginRegistry } from "@lumino/coreutils";
import { coursePlugins } from "./course";
import { failed, loaded } from "./loading";
import { cellExecutor } from "./run-when-ready";
import { vegaExtension } from "./vega";
import "./style.css";

/** Plugins of the bundled packages that have nothing to do here. */
const disabled = new Set([
  // There is no language server behind this page.
  "@jupyterlab/fileeditor-extension:language-server",
  "@jupyterlab/notebook-extension:language-server",
  // These ask other hosts, which the page may not, or a part of Jupyter Server that we have not.
  "@jupyterlab/apputils-extension:announcements",
  "@jupyterlab/apputils-extension:licenses-client",
  "@jupyterlab/apputils-extension:licenses-plugin",
  "@jupyterlab/help-extension:licenses-commands",
  "@jupyterlab/help-extension:resources",
  "@jupyterlab/filebrowser-extension:open-url",
  // Ours waits for the session.
  "@jupyterlab/notebook-extension:cell-executor",
  // Outputs show, they do not run: the page's policy would refuse the script anyway.
  "@jupyterlab/javascript-extension:factory",
]);

/** A module's default export may be one plugin or several. */
function listed<T>(modules: readonly { readonly module: { readonly default: T | T[] } }[]): T[] {
  return modules.flatMap(({ module }) => module.default);
}

async function start(): Promise<void> {
  const enabled = [...listed<JupyterFrontEndPlugin<unknown>>(plugins), ...coursePlugins, cellExecutor].filter(
    ({ id }) => !disabled.has(id),
  );
  const mimeExtensions = [...listed(renderers), vegaExtension]
    .filter(({ id }) => !disabled.has(id))
    .map((extension) => ({ __esModule: true as const, default: extension }));

  const pluginRegistry = new PluginRegistry();
  pluginRegistry.registerPlugins(enabled);
  const serviceManager = await pluginRegistry.resolveRequiredService(IServiceManager);
  const connectionStatus = await pluginRegistry.resolveRequiredService(IConnectionStatus);
  const lab = new JupyterLab({ pluginRegistry, serviceManager, connectionStatus, mimeExtensions });
  await lab.start({ bubblingKeydown: true });
  await lab.restored;
  loaded();
}

start().catch(failed);
