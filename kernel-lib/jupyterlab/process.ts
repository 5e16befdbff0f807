/** Owns the `process` that a few of JupyterLab's libraries look at, though they run in a browser. */
export const process = { env: {}, platform: "browser", cwd: () => "/", argv: [] as string[], versions: {} };
