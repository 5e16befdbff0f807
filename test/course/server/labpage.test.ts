/** Owns the test of the page's HTML: what it carries, and what nobody can put into it. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { labPage } from "../../../kernel-lib/course/server/labpage";

let assets: string;

beforeAll(() => {
  assets = fs.mkdtempSync(path.join(os.tmpdir(), "kubebook-page-"));
  const manifest = { script: "lab-A.js", style: "lab-B.css", preload: ["chunk-C.js"], version: "4.6.4" };
  fs.writeFileSync(path.join(assets, "lab.json"), JSON.stringify(manifest));
});

afterAll(() => fs.rmSync(assets, { recursive: true, force: true }));

function config(html: string): Record<string, string> {
  const text = /<script id="jupyter-config-data" type="application\/json">(.*?)<\/script>/s.exec(html)?.[1];
  return JSON.parse(text ?? "") as Record<string, string>;
}

describe("the page that JupyterLab starts from", () => {
  it("carries the configuration and asks for the bundle", () => {
    const { html } = labPage({ assets, treePath: "05-connecting-applications.ipynb" });
    expect(config(html)).toMatchObject({ appUrl: "/lab", treePath: "05-connecting-applications.ipynb", token: "" });
    expect(html).toContain('src="/static/lab/lab-A.js"');
    expect(html).toContain('href="/static/lab/lab-B.css"');
    expect(html).toContain('href="/static/lab/chunk-C.js"');
  });

  it("keeps a path that looks like markup inside its text", () => {
    const treePath = '</script><script>alert(1)</script><!--"\u2028';
    const { html } = labPage({ assets, treePath });
    expect(config(html).treePath).toBe(treePath);
    expect(html.match(/<script/g)).toHaveLength(2);
  });

  it("allows only the scripts that carry the nonce of this very answer", () => {
    const pages = [labPage({ assets }), labPage({ assets })];
    const nonces = pages.map(({ html, headers }) => {
      const rules = new Map(
        headers["Content-Security-Policy"]?.split("; ").map((rule) => [rule.split(" ")[0], rule.split(" ").slice(1)]),
      );
      const [nonce = ""] = rules.get("script-src") ?? [];
      expect(rules.get("script-src")).toEqual([nonce, "'unsafe-eval'"]);
      expect(rules.get("script-src-attr")).toEqual(["'none'"]);
      expect(rules.get("default-src")).toEqual(["'none'"]);
      expect(rules.get("connect-src")).toEqual(["'self'"]);
      expect(html).toContain(`nonce="${/'nonce-(.+)'/.exec(nonce)?.[1]}"`);
      return nonce;
    });
    expect(nonces[0]).not.toBe(nonces[1]);
  });
});
