import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ManifestError, parseManifests, resourceFor } from "../../kernel-lib/api/manifest";
import { requireOrSkip } from "../judges";

function problem(text: string): string {
  try {
    parseManifests(text, "x.yaml");
  } catch (error) {
    if (error instanceof ManifestError) return error.message;
    throw error;
  }
  return "read";
}

const broken = [
  "a: b: c\n",
  "a:\n\t- b\n",
  "a: [1\n",
  "a: *x\n",
  "apiVersion: v1\n kind: Pod\n",
  "a: 'x\n",
  "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n   image: b\n",
  "apiVersion: v1\nkind: Pod\nspec:\n   a: 1\n  b: 2\n",
  "apiVersion: v1\nkind: Pod\n}\n",
  "apiVersion: v1\nkind Pod\nmetadata: 1\n",
  'a: "x\n',
  "a: {b: 1\nc: 2\n",
  "a: @x\n",
  "just text\n",
];

function kubectlHere(): boolean {
  return spawnSync("kubectl", ["version", "--client"]).status === 0;
}

describe("a manifest that cannot be read", () => {
  test("is refused in kubectl's own words, line numbers included", (context) => {
    requireOrSkip(context, kubectlHere(), "kubectl is not on this machine");
    const folder = mkdtempSync(join(tmpdir(), "manifest-"));
    for (const text of broken) {
      writeFileSync(join(folder, "x.yaml"), text);
      const args = ["create", "--dry-run=client", "--validate=false", "-f", "x.yaml"];
      const { stderr } = spawnSync("kubectl", args, { cwd: folder, encoding: "utf8" });
      const real = stderr.trim().split("\n").at(-1);
      expect(`error: ${problem(text)}`, JSON.stringify(text)).toBe(real);
    }
  });

  test("names the missing fields, the unknown kind, and the document's own line", () => {
    expect(problem("a: 1\n")).toBe(
      'error validating "x.yaml": error validating data: [apiVersion not set, kind not set]; ' +
        "if you choose to ignore these errors, turn validation off with --validate=false",
    );
    expect(problem("kind: Pod\n")).toContain("error validating data: apiVersion not set;");
    const [manifest] = parseManifests("apiVersion: v1\nkind: Podd\nmetadata: {name: a}\n", "x.yaml");
    expect(() => resourceFor(manifest as never, "x.yaml")).toThrow(
      'resource mapping not found for name: "a" namespace: "" from "x.yaml": no matches for kind "Podd" in version "v1"',
    );
    expect(problem("apiVersion: v1\nkind: Pod\n---\nx: 1\nb:\n\t- c\n")).toContain("yaml: line 3: found character");
  });

  test("is refused when it is a bomb or tries to reach a prototype", () => {
    const bomb = [
      "a: &a [x,x,x,x,x,x,x,x,x]",
      ...[..."bcdefgh"].map((name, at) => {
        const last = "abcdefg"[at];
        return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${last}`).join(",")}]`;
      }),
    ].join("\n");
    expect(problem(bomb)).toContain("document contains excessive aliasing");
    expect(problem("__proto__: {polluted: yes}\napiVersion: v1\nkind: Pod\n")).toContain('"__proto__"');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

test("YAML is read as go-yaml reads it: octal modes, text dates, lists taken apart, anchors", () => {
  const text = `apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: &m {name: a}, data: {mode: 0644, day: 2020-01-01, time: "22:22"}}
- {apiVersion: v1, kind: Secret, metadata: *m}
---
# nothing
---
{"apiVersion": "v1", "kind": "Pod"}
`;
  const manifests = parseManifests(text, "x.yaml");
  expect(manifests.map(({ kind, line }) => [kind, line])).toEqual([
    ["ConfigMap", 1],
    ["Secret", 1],
    ["Pod", 8],
  ]);
  expect(manifests[0]?.object).toMatchObject({ data: { mode: 0o644, day: "2020-01-01", time: "22:22" } });
  expect(manifests[1]?.object).toMatchObject({ metadata: { name: "a" } });
});

test("scalars are what go-yaml takes them for: a name like e1 is no number, 0o17 is one", () => {
  const text = "apiVersion: v1\nkind: X\na: [e1, E2, ., -e1, .5, 1e3, 1_000, 0o17, 0X1f, 017, 12:30, y, No]\n";
  expect(parseManifests(text, "x.yaml")[0]?.object.a).toEqual([
    ...["e1", "E2", ".", "-e1"],
    ...[0.5, 1000, 1000, 15, 31, 15],
    ...["12:30", true, false],
  ]);
  expect(problem("apiVersion: v1\nkind: X\na: .inf\n")).toBe(
    "error parsing x.yaml: error converting YAML to JSON: json: unsupported value: +Inf",
  );
});

test("metadata that cannot be read is refused before the server is asked", () => {
  const of = (metadata: string): string => problem(`apiVersion: v1\nkind: ConfigMap\nmetadata: ${metadata}\n`);
  expect(of("[x]")).toBe(
    'unable to decode "x.yaml": json: cannot unmarshal array into Go struct field metadataOnlyObject.metadata of type v1.ObjectMeta',
  );
  expect(of("{name: 5}")).toBe(
    'unable to decode "x.yaml": json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string',
  );
  expect(of("{name: a, labels: [x]}")).toContain("ObjectMeta.metadata.labels of type map[string]string");
  expect(of("{name: a, nope: 1}")).toBe("read");
});
