/** Owns what esbuild must know to bundle JupyterLab's packages, which were published for webpack. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { BuildOptions, Plugin } from "esbuild";

/** The one module that the bundler makes up: the list of extensions. */
export const extensionsId = "kubebook:extensions";

/** Serves `kubebook:extensions` from the given text; its imports resolve from `root`. */
export function generatedEntry(root: string, contents: string): Plugin {
  return {
    name: "generated-entry",
    setup(build) {
      build.onResolve({ filter: /^kubebook:extensions$/ }, ({ path }) => ({ path, namespace: "generated" }));
      build.onLoad({ filter: /.*/, namespace: "generated" }, () => ({ contents, loader: "js", resolveDir: root }));
    },
  };
}

/** `~package/file` in a style sheet is webpack's way to say that a package is meant. */
const tildePaths: Plugin = {
  name: "tilde-paths",
  setup(build) {
    build.onResolve({ filter: /^~/ }, ({ path: request, kind, importer, resolveDir }) =>
      build.resolve(request.slice(1), { kind, importer, resolveDir }),
    );
  },
};

/** An SVG file is text when JavaScript imports it and a data URL when a style sheet points at it. */
const pictures: Plugin = {
  name: "pictures",
  setup(build) {
    build.onResolve({ filter: /\.svg$/ }, ({ kind, path: file, resolveDir }) =>
      kind === "url-token" ? { path: path.resolve(resolveDir, file), namespace: "picture-url" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "picture-url" }, async ({ path: file }) => ({
      contents: await fs.promises.readFile(file),
      loader: "dataurl",
    }));
  },
};

/** `*.raw.css` is a text for JavaScript to insert, not a style sheet of the page. */
const rawStyles: Plugin = {
  name: "raw-styles",
  setup(build) {
    build.onLoad({ filter: /\.raw\.css$/ }, async ({ path: file }) => ({
      contents: await fs.promises.readFile(file),
      loader: "text",
    }));
  },
};

/** Font Awesome 5 comes in five formats; every browser that runs JupyterLab reads WOFF2. */
const fonts: Plugin = {
  name: "fonts",
  setup(build) {
    build.onLoad({ filter: /@fortawesome[\\/].*\.css$/ }, async ({ path: file }) => {
      const text = await fs.promises.readFile(file, "utf8");
      const trimmed = text.replace(/src:url\([^)]*\.eot\);/g, "").replace(/src:([^;}]*)/g, (all, list: string) => {
        const woff2 = list.split(",").find((source) => source.includes("woff2"));
        return woff2 === undefined ? all : `src:${woff2}`;
      });
      return { contents: trimmed, loader: "css" };
    });
  },
};

/**
 * A dynamic `import()` of a CommonJS module gives only `default` once the bundle is split, while webpack gives the
 * names too. MathJax is loaded that way; this hands out what is behind `default`.
 */
const commonJsImports: Plugin = {
  name: "commonjs-imports",
  setup(build) {
    build.onLoad({ filter: /@jupyterlab[\\/]mathjax-extension[\\/]lib[\\/].*\.js$/ }, async ({ path: file }) => {
      const text = await fs.promises.readFile(file, "utf8");
      const unwrapped = text.replace(
        /\bimport\((["']mathjax-full\/[^"']+["'])\)/g,
        "import($1).then(module => module.default ?? module)",
      );
      return { contents: unwrapped, loader: "js" };
    });
  },
};

/** Options shared by the page's bundle and the themes. */
const common = {
  bundle: true,
  minify: true,
  legalComments: "none",
  logLevel: "silent",
  target: ["es2022"],
  loader: { ".woff2": "file", ".woff": "file", ".ttf": "file", ".eot": "empty", ".svg": "text", ".png": "file" },
} satisfies BuildOptions;

/** Options for the page itself: ES modules, split so that what is seldom needed loads when it is needed. */
export function pageOptions(root: string, outdir: string, extensions: string) {
  return {
    ...common,
    absWorkingDir: root,
    entryPoints: { lab: path.join(root, "kernel-lib", "jupyterlab", "entry.ts") },
    outdir,
    format: "esm" as const,
    platform: "browser" as const,
    splitting: true,
    metafile: true as const,
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
    assetNames: "[name]-[hash]",
    mainFields: ["browser", "module", "main"],
    alias: { path: "path-browserify" },
    // MathJax asks for the folder that it lies in, for what it would load on Node.
    define: { "process.env.NODE_ENV": '"production"', global: "globalThis", __dirname: '"/"' },
    inject: [path.join(root, "kernel-lib", "jupyterlab", "process.ts")],
    tsconfigRaw: { compilerOptions: { target: "ES2022", useDefineForClassFields: true } },
    plugins: [generatedEntry(root, extensions), tildePaths, pictures, rawStyles, fonts, commonJsImports],
  } satisfies BuildOptions;
}

/** Options for one theme's style sheet, which JupyterLab loads by name, so it keeps its name. */
export function themeOptions(root: string, theme: string, outfile: string): BuildOptions {
  return {
    ...common,
    absWorkingDir: root,
    entryPoints: [theme],
    outfile,
    loader: { ...common.loader, ".woff2": "dataurl" },
    plugins: [tildePaths, pictures],
  };
}
