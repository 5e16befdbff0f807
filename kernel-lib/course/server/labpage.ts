/** Owns the one HTML page that JupyterLab starts from: its configuration, its policy, its words while it loads. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

/** What the page must know. */
export interface LabPageOptions {
  /** The folder that `bundleLab` returned. */
  readonly assets: string;
  /** Only where there is no cookie: it then stands in the page. */
  readonly token?: string;
  /** The file or folder in the URL `/lab/tree/…`, relative to the contents root. */
  readonly treePath?: string;
  /** The workspace in the URL `/lab/workspaces/…`. */
  readonly workspace?: string;
}

/** The page and the headers it must be sent with. */
export interface LabPage {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What of `lab.json` the page uses (written by the bundler). */
interface Manifest {
  readonly script: string;
  readonly style: string;
  readonly preload: readonly string[];
  readonly version: string;
}

const manifests = new Map<string, Manifest>();

/** The folder's name is a hash of its content, so what was read once stays true. */
function readManifest(assets: string): Manifest {
  const known = manifests.get(assets);
  if (known) return known;
  const manifest = JSON.parse(fs.readFileSync(path.join(assets, "lab.json"), "utf8")) as Manifest;
  manifests.set(assets, manifest);
  return manifest;
}

/**
 * Scripts: only those that carry this page's nonce and the modules they import, so no output, Markdown or attribute can
 * run one (`strict-dynamic` would let in what JupyterLab makes of a script element in an HTML output). `unsafe-eval` is there for one library (JupyterLab checks settings with ajv, which compiles schemas); styles
 * are set inline by Lumino and CodeMirror. Nothing goes to another host. `frame-src` is for the HTML and PDF viewers.
 */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'unsafe-eval'`,
    "script-src-attr 'none'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "frame-src 'self' blob:",
    "object-src 'self' blob:",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Text that stands in a script element as data: no `<` may end the element early. */
function jsonInHtml(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** The mark of the course, as data so that it needs no request. */
const icon = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#326ce5"/>' +
    '<path d="M16 10c-2-1.5-5-2-9-2v14c4 0 7 .5 9 2 2-1.5 5-2 9-2V8c-4 0-7 .5-9 2zm0 0v14" ' +
    'fill="none" stroke="#fff" stroke-width="2.4" stroke-linejoin="round"/></svg>',
)}`;

/** JupyterLab's configuration (`PageConfig`), all texts, as Jupyter Server's own page gives it. */
function pageConfig(options: LabPageOptions, version: string): Readonly<Record<string, string>> {
  return {
    appName: "JupyterLab",
    appNamespace: "lab",
    appVersion: version,
    appUrl: "/lab",
    baseUrl: "/",
    staticUrl: "/static/lab",
    settingsUrl: "/lab/api/settings",
    themesUrl: "/lab/api/themes",
    translationsApiUrl: "/lab/api/translations",
    workspacesApiUrl: "/lab/api/workspaces",
    treeUrl: "/lab/tree",
    mode: "multiple-document",
    notebookVersion: "[7, 5, 0]",
    terminalsAvailable: "false",
    token: options.token ?? "",
    treePath: options.treePath ?? "",
    workspace: options.workspace ?? "default",
  };
}

/** What stands there until the scripts have come; in the colours that the learner's system prefers. */
const loadingStyle = `
  :root { color-scheme: light dark; }
  body { margin: 0; }
  #kubebook-loading { position: fixed; inset: 0; z-index: 1000; display: flex; flex-direction: column; gap: 16px;
    align-items: center; justify-content: center; font: 16px system-ui, sans-serif; background: Canvas; color: CanvasText; }
  #kubebook-loading::after { content: ""; width: 160px; height: 3px; border-radius: 2px; opacity: .7;
    background: linear-gradient(90deg, transparent, #326ce5, transparent) 0 0 / 50% 100% no-repeat;
    animation: kubebook-loading 1.2s ease-in-out infinite alternate; }
  #kubebook-loading[role=alert]::after { display: none; }
  @keyframes kubebook-loading { to { background-position: 100% 0; } }
  @media (prefers-reduced-motion: reduce) { #kubebook-loading::after { animation: none; } }`;

/**
 * The page for `/lab`, `/lab/tree/…` and `/lab/workspaces/…`, with a fresh nonce each time.
 *
 * @throws Error if there is no bundle in `assets`.
 */
export function labPage(options: LabPageOptions): LabPage {
  const { script, style, preload, version } = readManifest(options.assets);
  const nonce = crypto.randomBytes(16).toString("base64");
  const at = (file: string) => `/static/lab/${file}`;
  const html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kubebook</title>
<link rel="icon" type="image/svg+xml" href="${icon}">
<script id="jupyter-config-data" type="application/json">${jsonInHtml(pageConfig(options, version))}</script>
<style>${loadingStyle}</style>
${preload.map((file) => `<link rel="modulepreload" nonce="${nonce}" href="${at(file)}">`).join("\n")}
<link rel="stylesheet" href="${at(style)}">
<script type="module" nonce="${nonce}" src="${at(script)}"></script>
</head>
<body>
<div id="kubebook-loading" role="status">Opening the course …</div>
<noscript>The course needs JavaScript.</noscript>
</body>
</html>
`;
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": policy(nonce),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
  };
  return { html, headers };
}
