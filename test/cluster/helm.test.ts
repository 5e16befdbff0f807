import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Files } from "../../kernel-lib/apps/files";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { loadChart } from "../../kernel-lib/cluster/helm/chart";
import { gunzip, gzip } from "../../kernel-lib/cluster/helm/gzip";
import { renderChart } from "../../kernel-lib/cluster/helm/render";
import { coalesced } from "../../kernel-lib/cluster/helm/values";
import { Failed } from "../../kernel-lib/cluster/shell/tool";
import { createSim } from "../../kernel-lib/sim/sim";

/** Fills one template of a chart whose values are given. */
function filled(
  template: string,
  values: Record<string, unknown> = {},
  more: Readonly<Record<string, string>> = {},
): string {
  const sim = createSim(1);
  const files = new Files(sim.clock, {
    "/c/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: v9\n",
    "/c/templates/t.yaml": template,
    ...more,
  });
  const chart = loadChart(files, "/c");
  const rendered = renderChart({
    chart,
    values: coalesced(chart, values),
    release: { name: "r", namespace: "ns", revision: 3, isUpgrade: true },
    kubeVersion: "v1.36.0",
    api: undefined,
    random: sim.random,
  });
  return rendered.get("c/templates/t.yaml") ?? "";
}

const values = {
  name: "Web App",
  list: ["b", "a", "a"],
  map: { x: 1, y: { z: "deep" } },
  count: 3,
  off: false,
  none: null,
};

/** What Sprig's and Helm's own documentation says of their functions. */
const cases: readonly (readonly [string, string])[] = [
  [
    "{{ .Release.Name }}/{{ .Release.Namespace }}/{{ .Release.Revision }}/{{ .Release.IsUpgrade }}/{{ .Release.Service }}",
    "r/ns/3/true/Helm",
  ],
  [
    "{{ .Chart.Name }}-{{ .Chart.Version }} {{ .Chart.AppVersion }} {{ .Template.Name }}",
    "c-1.2.3 v9 c/templates/t.yaml",
  ],
  ['{{ .Values.name | upper | quote }}{{ .Values.name | lower | replace " " "-" }}', '"WEB APP"web-app'],
  [
    '{{ .Values.nope | default 5 }}{{ .Values.off | default true }}{{ empty .Values.list }}{{ coalesce 0 "" 7 }}',
    "5truefalse7",
  ],
  [
    '{{ trunc 3 "abcdef" }}{{ trunc -2 "abcdef" }} {{ trimSuffix "-" "a-" }} {{ "hello" | title }} {{ repeat 2 "ab" }}',
    "abcef a Hello abab",
  ],
  [
    '{{ contains "b" "abc" }}{{ hasPrefix "a" "abc" }}{{ nospace " a b " }}{{ squote "x" }}{{ cat "a" 1 }}',
    "truetrueab'x'a 1",
  ],
  ["a:{{ toYaml .Values.map | nindent 2 }}", 'a:\n  x: 1\n  "y":\n    z: deep'],
  [
    '{{ toJson .Values.map }} {{ (fromJson "{\\"a\\":[1,2]}").a }} {{ (fromYaml "k: v").k }}',
    '{"x":1,"y":{"z":"deep"}} [1 2] v',
  ],
  [
    '{{ list 1 2 3 | rest | first }}{{ .Values.list | uniq | sortAlpha | join "," }}{{ has "b" .Values.list }}{{ without .Values.list "a" }}',
    "2a,btrue[b]",
  ],
  [
    '{{ dict "a" 1 "b" 2 | keys | sortAlpha }}{{ get .Values.map "x" }}{{ dig "y" "z" "?" .Values.map }}{{ dig "y" "q" "?" .Values.map }}',
    "[a b]1deep?",
  ],
  [
    '{{ merge (dict "a" 1) (dict "a" 2 "b" 3) | toJson }}{{ mergeOverwrite (dict "a" 1) (dict "a" 2) | toJson }}',
    '{"a":1,"b":3}{"a":2}',
  ],
  [
    '{{ add 1 2 3 }}{{ sub 5 2 }}{{ mul 2 3 }}{{ div 7 2 }}{{ mod 7 3 }}{{ max 1 5 2 }}{{ round 2.567 2 }}{{ int "4" }}',
    "6363152.574",
  ],
  ["{{ until 3 }}{{ untilStep 2 8 3 }}{{ seq 3 }}", "[0 1 2][2 5]1 2 3"],
  ['{{ "abc" | b64enc }}{{ "YWJj" | b64dec }}{{ "abc" | sha256sum | trunc 8 }}', "YWJjabcba7816bf"],
  [
    '{{ regexMatch "^a.c$" "abc" }}{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "$1." }}{{ regexFind "[0-9]+" "a12b3" }}',
    "true-.-xx.-12",
  ],
  [
    '{{ semverCompare ">=1.19-0" .Capabilities.KubeVersion.Version }}{{ semverCompare "^1.2" "2.0.0" }}{{ semverCompare "~1.2.3" "1.2.9" }}',
    "truefalsetrue",
  ],
  [
    '{{ kindOf .Values.map }}{{ kindOf .Values.list }}{{ kindIs "string" .Values.name }}{{ ternary "y" "n" .Values.off }}',
    "mapslicetruen",
  ],
  [
    '{{ tpl "{{ .Values.name }}!" . }}{{ snakecase "FirstName" }}{{ camelcase "first_name" }}{{ kebabcase "FirstName" }}',
    "Web App!first_nameFirstNamefirst-name",
  ],
  [
    '{{ if .Capabilities.APIVersions.Has "discovery.k8s.io/v1/EndpointSlice" }}slices{{ end }}{{ .Files.Get "extra.txt" }}{{ .Files.Get "no" }}',
    "slicesmore",
  ],
  ['{{ include "named" . | indent 2 }}', "  r-c"],
  ['{{ (lookup "v1" "Pod" "ns" "x") | toJson }}', "{}"],
];

test.each(cases)("%s", (template, text) => {
  const more = {
    "/c/extra.txt": "more",
    "/c/templates/_named.tpl": '{{ define "named" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}',
  };
  expect(filled(template, values, more)).toBe(text);
});

describe("values", () => {
  const chart = { "/c/values.yaml": "a: {b: 1, c: 2}\nlist: [1]\ngone: x\n" };
  test("those given lie over the chart's own, and null takes one away", () => {
    expect(filled("{{ toJson .Values }}", { a: { b: 9 }, gone: null, list: [3, 4] }, chart)).toBe(
      '{"a":{"b":9,"c":2},"list":[3,4]}',
    );
  });
  test("a part of a chart sees its own values and the global ones", () => {
    const parts = {
      ...chart,
      "/c/charts/part/Chart.yaml": "apiVersion: v2\nname: part\nversion: 0.1.0\n",
      "/c/charts/part/values.yaml": "own: 1\nother: 2\n",
      "/c/charts/part/templates/_p.tpl": '{{ define "p" }}{{ toJson .Values.part }}{{ end }}',
    };
    const seen = filled('{{ include "p" . }}', { part: { own: 5 }, global: { g: 1 } }, parts);
    expect(JSON.parse(seen)).toEqual({ own: 5, other: 2, global: { g: 1 } });
  });
});

const wrong: readonly (readonly [string, string])[] = [
  [
    "{{ .Values.a.b.c }}",
    'template: c/templates/t.yaml:1:10: executing "c/templates/t.yaml" at <.Values.a.b.c>: nil pointer evaluating interface {}.b',
  ],
  ['\n{{ required "say it" .Values.a }}', "execution error at (c/templates/t.yaml:2:3): say it"],
  [
    '{{ fail "no" }}',
    'template: c/templates/t.yaml:1:3: executing "c/templates/t.yaml" at <fail "no">: error calling fail: no',
  ],
  [
    '{{ include "nope" . }}',
    'template: c/templates/t.yaml:1:3: executing "c/templates/t.yaml" at <include "nope" .>: error calling include: template: no template "nope" associated with template "gotpl"',
  ],
  ["{{ if }}{{ end }}", "parse error at (c/templates/t.yaml:1): missing value for if"],
  ["{{ shout }}", 'parse error at (c/templates/t.yaml:1): function "shout" not defined'],
  [
    '{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}',
    "rendering template has a nested reference name: r",
  ],
];

test.each(wrong)("%s fails in Helm's words", (template, message) => {
  expect(() => filled(template)).toThrow(Failed);
  expect(() => filled(template)).toThrow(message);
});

test("a release is kept as Helm keeps it: JSON, gzip, base64 twice, which any gunzip reads", async () => {
  const cluster = new Cluster({ nodes: 1, seed: 2 });
  await cluster.start();
  expect(await cluster.session().type("helm install dev service-selectors --set replicas=1", () => {})).toBe(0);
  const secret = cluster.store.get("Secret", "default/sh.helm.release.v1.dev.v1");
  const inner = Buffer.from(Buffer.from(secret?.data?.release ?? "", "base64").toString(), "base64");
  const release = JSON.parse(gunzipSync(inner).toString());
  expect(release).toMatchObject({
    name: "dev",
    version: 1,
    namespace: "default",
    config: { replicas: 1 },
    info: { status: "deployed" },
  });
  expect(secret?.type).toBe("helm.sh/release.v1");
  expect(secret?.metadata.labels).toMatchObject({ name: "dev", owner: "helm", status: "deployed", version: "1" });
  const long = new TextEncoder().encode("x".repeat(150_000));
  expect(gunzipSync(gzip(long)).length).toBe(150_000);
  expect(gunzip(gzip(long))?.length).toBe(150_000);
});

const sets: readonly (readonly [string, string])[] = [
  ["--set a.b=1,c=true,d=null,e=x", '{"a":{"b":1},"c":true,"e":"x"}'],
  ["--set 'l={1,2}' --set 'm[1].n=x'", '{"l":[1,2],"m":[null,{"n":"x"}]}'],
  ["--set 'a\\.b=c,d=e\\,f'", '{"a.b":"c","d":"e,f"}'],
  ["--set-string n=1", '{"n":"1"}'],
  [`--set-json 'j={"k":[1]}'`, '{"j":{"k":[1]}}'],
  ["-f v.yaml --set a.w=3", '{"a":{"w":3,"x":1}}'],
  ["--set __proto__.x=1", "{}"],
];

test.each(sets)("helm template %s", async (flags, json) => {
  const cluster = new Cluster({ nodes: 1 });
  const { files, folder } = cluster.prompt;
  files.write(`${folder}/v.yaml`, "a: {x: 1, w: 2}\n");
  files.write(`${folder}/c/Chart.yaml`, "apiVersion: v2\nname: c\nversion: 0.1.0\n");
  files.write(
    `${folder}/c/templates/t.yaml`,
    "kind: K\napiVersion: v1\nv: {{ toJson .Values | quote }}\n".replace("kind: K", "kind: ConfigMap"),
  );
  let printed = "";
  await cluster.session().type(`helm template c ${flags}`, (_, text) => {
    printed += text;
  });
  expect(printed).toContain(`v: ${JSON.stringify(json)}`);
});
