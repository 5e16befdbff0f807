import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { printJson } from "../../kernel-lib/cluster/kubectl/print/json";
import { fillTemplate, findValues, JsonPathError } from "../../kernel-lib/cluster/kubectl/print/jsonpath";
import { printYaml } from "../../kernel-lib/cluster/kubectl/print/yaml";
import { requireOrSkip } from "../judges";

/** An empty home: no kubeconfig, so nothing can be asked of a server. */
let home = "";
let version: string | undefined;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "kubectl-"));
  version = /v(1\.\d+)/.exec(kubectl(["version", "--client"]).stdout)?.[1];
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

function kubectl(args: readonly string[]): {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
} {
  const env = { PATH: process.env.PATH ?? "", HOME: home };
  const { stdout, stderr, status } = spawnSync("kubectl", args, { env, encoding: "utf8" });
  return { stdout: stdout ?? "", stderr: stderr ?? "", status: status ?? 127 };
}

/**
 * What kubectl before 1.34 printed and no longer does: a null creationTimestamp, of the object and of its pod template.
 */
function asOfToday(text: string): string {
  return text.replace(/^ *"?creationTimestamp"?: null,?\n/gm, "").replace(/metadata: \{\}\n/g, "");
}

const texts = [
  "yes",
  "1.5",
  "0755",
  "0x1f",
  "~",
  "",
  "a: b",
  "a #b",
  "- a",
  "*a",
  "'a",
  '"a',
  "a'b",
  " a",
  "a\tb",
  "a\nb",
  "a\n\nb\n\n",
  " a\nb",
  "a \nb",
  "\n",
  "é😀",
  "2026-01-01",
  "12:30",
  "1_000",
  ".inf",
  "<<",
  "---",
  "long ".repeat(40).trim(),
  "long: ".repeat(40).trim(),
  `${"x".repeat(100)} y z`,
  "10.96.0.1",
  '{"a":"b"}\n',
  "<none>",
  `\u0007 ${"long ".repeat(40).trim()}`,
];

test("YAML is printed as kubectl prints it, whatever the text", (context) => {
  requireOrSkip(context, version !== undefined, "kubectl is not installed");
  const args = texts.map((text, at) => `--from-literal=k${String(at).padStart(2, "0")}=${text}`);
  const data = Object.fromEntries(texts.map((text, at) => [`k${String(at).padStart(2, "0")}`, text]));
  const real = kubectl(["create", "configmap", "x", ...args, "--dry-run=client", "-o", "yaml"]);
  expect(printYaml({ apiVersion: "v1", data, kind: "ConfigMap", metadata: { name: "x" } })).toBe(
    asOfToday(real.stdout),
  );
});

test("JSON has sorted keys and Go's escapes", () => {
  expect(printJson({ b: [1, { d: "<a&b>", c: null }], a: {} })).toBe(
    '{\n    "a": {},\n    "b": [\n        1,\n        {\n            "c": null,\n            "d": "\\u003ca\\u0026b\\u003e"\n        }\n    ]\n}\n',
  );
});

test("JSONPath finds, filters, slices, ranges and quotes", () => {
  const root = {
    items: [
      { name: "a", ports: [80, 443], labels: { "app.io/x": "1" }, ready: true },
      { name: "b", ports: [8080], labels: {}, ready: false },
    ],
  };
  const cases: readonly (readonly [string, string])[] = [
    ["{.items[*].name}", "a b"],
    ["{.items[-1].name}", "b"],
    ["{.items[0:1].name}-{.items[0].ports[1]}", "a-443"],
    ["{range .items[*]}{.name}={.ports[0]}{'\\n'}{end}", "a=80\nb=8080\n"],
    ["{.items[?(@.ready==true)].name}", "a"],
    ["{.items[?(@.name!='a')].ports[*]}", "8080"],
    ["{.items[0].labels.app\\.io/x}{.items[0].labels['app\\.io/x']}", "11"],
    ["{.items[0].labels['app.io/x']}", ""],
    ["{.items[*]['name','ready']}", "a b true false"],
    ["{range .items[*]}{.name};", "a;b;;"],
    ["{..ports[0]}", "80 8080"],
    ["{.items[0].ports}", "[80,443]"],
    ["{.nope}!", "!"],
  ];
  for (const [template, text] of cases)
    expect(`${template} ${fillTemplate(template, root)}`).toBe(`${template} ${text}`);
  expect(() => fillTemplate("{.items[7]}", root)).toThrow(JsonPathError);
  expect(() => fillTemplate("{.items", root)).toThrow("unclosed action");
  expect(findValues("items[*].name", root)).toEqual(["a", "b"]);
});
