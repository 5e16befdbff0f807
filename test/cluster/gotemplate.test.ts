import { expect, test } from "vitest";
import { fillGoTemplate } from "../../kernel-lib/cluster/gotemplate/index";

const data = {
  name: "web",
  count: 3,
  ratio: 1.5,
  on: true,
  off: false,
  empty: "",
  list: ["a", "b", "c"],
  map: { b: 2, a: 1 },
  nested: { deep: { x: "y" } },
  has: (text: string) => text === "v1",
};

const filled: readonly (readonly [string, string])[] = [
  ["plain", "plain"],
  ["{{ .name }}-{{.count}}", "web-3"],
  ["a {{- .name -}} b", "awebb"],
  ["a {{/* nothing */}} b{{- /* nor here */ -}} c", "a  bc"],
  ["{{ .map }} {{ .list }} {{ .ratio }} {{ .on }} {{ .nope }}", "map[a:1 b:2] [a b c] 1.5 true <no value>"],
  ["{{ if .on }}yes{{ else }}no{{ end }}{{ if .empty }}x{{ else if .off }}y{{ else }}z{{ end }}", "yesz"],
  ["{{ range .list }}<{{ . }}>{{ end }}", "<a><b><c>"],
  ["{{ range $i, $e := .list }}{{ $i }}{{ $e }} {{ end }}", "0a 1b 2c "],
  ["{{ range $k, $v := .map }}{{ $k }}={{ $v }};{{ end }}", "a=1;b=2;"],
  ["{{ range .nope }}x{{ else }}none{{ end }}{{ range 3 }}{{ . }}{{ end }}", "none012"],
  ['{{ range .list }}{{ if eq . "b" }}{{ continue }}{{ end }}{{ . }}{{ end }}', "ac"],
  ['{{ range .list }}{{ if eq . "b" }}{{ break }}{{ end }}{{ . }}{{ end }}', "a"],
  ["{{ with .nested.deep }}{{ .x }}{{ $.name }}{{ end }}{{ with .nope }}a{{ else }}b{{ end }}", "ywebb"],
  ["{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 5 }}{{ end }}{{ $x }}", "2"],
  ['{{ define "d" }}[{{ . }}]{{ end }}{{ template "d" .name }}{{ template "d" }}', "[web][<no value>]"],
  ['{{ block "u" .count }}<{{ . }}>{{ end }}', "<3>"],
  [
    '{{ printf "%s %d %05d %q %v %.2f %5s|%-5s|%t %%" .name .count .count .name .list .ratio "a" "b" .on }}',
    'web 3 00003 "web" [a b c] 1.50     a|b    |true %',
  ],
  ['{{ printf "%d %s" .name .count }}', "%!d(string=web) %!s(float64=3)"],
  ['{{ .name | printf "%s!" | len }}', "4"],
  ['{{ len .list }}{{ index .list 1 }}{{ index .map "a" }}{{ slice .name 1 2 }}', "3b1e"],
  ['{{ and .on .name }} {{ or .off .empty "last" }} {{ not .off }}', "web last true"],
  ['{{ if and (gt .count 2) (le .count 3) (ne .name "x") }}ok{{ end }}', "ok"],
  ['{{ eq .name "a" "web" }}', "true"],
  ['{{ if .has "v1" }}has{{ end }}{{ if (.has "v2") }}not{{ end }}', "has"],
  ["{{ (index .list 0) }}{{ (.nested.deep).x }}", "ay"],
  ["{{ html \"<a b='c'>\" }}", "&lt;a b=&#39;c&#39;&gt;"],
  ['{{ `raw "x"` }}{{ \'\\n\' }}{{ "t\\tb" }}', 'raw "x"10t\tb'],
  ['{{ print 1 2 "a" "b" 3 }}', "1 2a b3".replace("a b", "ab")],
];

test.each(filled)("%s gives %s", (source, text) => {
  expect(fillGoTemplate("t", source, data)).toBe(text);
});

const wrong: readonly (readonly [string, string])[] = [
  ["{{ nope }}", 'template: t:1: function "nope" not defined'],
  ["a\n{{ if .x }}", "template: t:2: unexpected EOF"],
  ["{{ .x", "template: t:1: unclosed action"],
  ["{{ end }}", "template: t:1: unexpected {{end}}"],
  ["{{ }}", "template: t:1: missing value for command"],
  ["{{ if }}x{{ end }}", "template: t:1: missing value for if"],
  ["{{ $x }}", 'template: t:1: undefined variable "$x"'],
  ['{{ "a }}', "template: t:1: unterminated quoted string"],
  ["{{ (len .list }}", "template: t:1: unclosed left paren"],
  ["{{ break }}", "template: t:1: {{break}} outside {{range}}"],
  [
    "{{ .name.first }}",
    'template: t:1:8: executing "t" at <.name.first>: can\'t evaluate field first in type interface {}',
  ],
  [
    "x\n  {{ .nope.first.second }}",
    'template: t:2:10: executing "t" at <.nope.first.second>: nil pointer evaluating interface {}.first',
  ],
  [
    "{{ index .list 9 }}",
    'template: t:1:3: executing "t" at <index .list 9>: error calling index: index out of range: 9',
  ],
  ["{{ range .name }}{{ end }}", 'template: t:1:9: executing "t" at <.name>: range can\'t iterate over web'],
  [
    "{{ lt .name 1 }}",
    'template: t:1:3: executing "t" at <lt .name 1>: error calling lt: incompatible types for comparison',
  ],
  ['{{ template "nope" }}', 'template: t:1:12: executing "t" at <{{template "nope"}}>: template "nope" not defined'],
  [
    '{{ define "r" }}{{ template "r" }}{{ end }}{{ template "r" }}',
    "template: t: exceeded maximum template depth (1000)",
  ],
];

test.each(wrong)("%s fails in Go's words", (source, message) => {
  expect(() => fillGoTemplate("t", source, data)).toThrow(new Error(message));
});
