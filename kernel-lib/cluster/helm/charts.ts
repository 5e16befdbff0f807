/** Owns the two charts that lie in the workstation's home: a Service with a selector, and one without. */

const ubuntu = `apiVersion: v1
kind: Pod
metadata:
  name: {{ include "example.name" . }}
  labels:
    app.kubernetes.io/name: ubuntu
    app.kubernetes.io/instance: {{ .Release.Name }}
spec:
  containers:
  - name: ubuntu
    image: {{ .Values.ubuntu.image | quote }}
    command: ["sleep", "infinity"]
  terminationGracePeriodSeconds: 1
`;

const nameHelper = `{{/* What everything of a release is called. */}}
{{- define "example.name" -}}
{{ printf "example-%s" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
`;

const selectorHelper = `
{{/* The labels by which the Service finds its pods. */}}
{{- define "example.selector" -}}
app.kubernetes.io/name: example
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
`;

const withSelector: Readonly<Record<string, string>> = {
  "Chart.yaml": `apiVersion: v2
name: service-selectors
description: A Service that finds its pods by their labels
type: application
version: 0.1.0
appVersion: "1.29"
`,
  "values.yaml": `replicas: 2

image: nginx:1.29
ubuntu:
  image: ubuntu:24.04

service:
  type: ClusterIP
  port: 80
  targetPort: 80
`,
  "templates/_helpers.tpl": nameHelper + selectorHelper,
  "templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "example.name" . }}
  labels:
    {{- include "example.selector" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      {{- include "example.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "example.selector" . | nindent 8 }}
    spec:
      containers:
      - name: nginx
        image: {{ .Values.image | quote }}
        ports:
        - containerPort: {{ .Values.service.targetPort }}
`,
  "templates/service.yaml": `apiVersion: v1
kind: Service
metadata:
  name: {{ include "example.name" . }}
  labels:
    {{- include "example.selector" . | nindent 4 }}
spec:
  type: {{ .Values.service.type }}
  selector:
    {{- include "example.selector" . | nindent 4 }}
  ports:
  - port: {{ .Values.service.port }}
    targetPort: {{ .Values.service.targetPort }}
`,
  "templates/ubuntu.yaml": ubuntu,
  "templates/NOTES.txt": `The Service {{ include "example.name" . }} sends port {{ .Values.service.port }} to {{ .Values.replicas }} pods.
A shell from which it can be asked:

  kubectl exec {{ include "example.name" . }} -it -- bash
`,
};

const withoutSelector: Readonly<Record<string, string>> = {
  "Chart.yaml": `apiVersion: v2
name: service-no-selectors
description: A Service for a database outside the cluster
type: application
version: 0.1.0
appVersion: "8.2"
`,
  "values.yaml": `service:
  port: 6379

# Where the database really is.
database:
  addresses:
  - 192.168.1.100
  port: 6379
`,
  "templates/_helpers.tpl": nameHelper,
  "templates/service.yaml": `# No selector: nobody looks for pods.
apiVersion: v1
kind: Service
metadata:
  name: {{ include "example.name" . }}
spec:
  ports:
  - port: {{ .Values.service.port }}
    targetPort: {{ .Values.database.port }}
`,
  "templates/endpointslice.yaml": `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {{ include "example.name" . }}-1
  labels:
    kubernetes.io/service-name: {{ include "example.name" . }}
    endpointslice.kubernetes.io/managed-by: helm
addressType: IPv4
ports:
- port: {{ .Values.database.port }}
  protocol: TCP
endpoints:
{{- range .Values.database.addresses }}
- addresses: [{{ . | quote }}]
{{- end }}
`,
  "templates/NOTES.txt": `{{ include "example.name" . }}:{{ .Values.service.port }} leads to {{ join ", " .Values.database.addresses }}, port {{ .Values.database.port }}.
`,
};

/** Path in a home → text. */
export const homeCharts: Readonly<Record<string, string>> = Object.fromEntries(
  [["service-selectors", withSelector] as const, ["service-no-selectors", withoutSelector] as const].flatMap(
    ([chart, files]) => Object.entries(files).map(([path, text]) => [`${chart}/${path}`, text] as const),
  ),
);
