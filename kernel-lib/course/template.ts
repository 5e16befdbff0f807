/** Owns how a chapter begins: the next free number, and a text that has the turn of a good chapter. */
import { stringify } from "yaml";

/** A title as a file name holds it: `Finding a Service` → `finding-a-service`; empty if no letter or digit is left. */
export function slugOf(title: string): string {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

/** The name of the chapter after the last one: `06-finding-a-service`. */
export function nextChapterName(slug: string, chapters: readonly { readonly number: number }[]): string {
  const number = Math.max(0, ...chapters.map((chapter) => chapter.number)) + 1;
  return `${String(number).padStart(2, "0")}-${slug}`;
}

/** The Markdown of a new chapter. It builds and runs as it is; what to write is said where it belongs. */
export function chapterTemplate(title: string): string {
  const front = stringify({
    title,
    minutes: 20,
    goals: ["say, at a whiteboard, …", "find out, with two commands, …"],
    sources: [{ title: "Kubernetes documentation", url: "https://kubernetes.io/docs/concepts/services-networking/" }],
  });
  return `---\n${front}---\n\n${body}`;
}

const body = `The situation in which somebody needs this, in three sentences: what they see, what they expected, why it matters now.

\`\`\`ts
import { file, sh, startCluster } from "kernel-lib";

const cluster = await startCluster({ seed: 1 });
\`\`\`

## One question, as a heading?

**Wonder.** Ask what a reader would ask, in at most eight lines. **Predict:** let them commit to an answer before they run
the cell.

\`\`\`sh
kubectl get nodes
\`\`\`

**See, and say why.** Name what surprised, and the part of the cluster that decided it. Name the misconception where it
lives. Link the part of the source that this follows.

## Change it

One idea a cell: another number of replicas, another label. What stays the same?

\`\`\`yaml file=pod.yaml
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app: web
spec:
  containers:
    - name: nginx
      image: nginx
\`\`\`

\`\`\`sh
kubectl apply -f pod.yaml
kubectl get pod web --show-labels
\`\`\`

## Break it, mend it

Hand over something that looks alive and is not, as in production. The reader finds it with the commands of this chapter;
a cell then checks it.

<details><summary>What happened</summary>

What was wrong, how it shows, and the one change that mends it.

</details>

## In five lines

- **What you can now say:** one sentence.
- **Worth remembering:** \`kubectl get nodes\` shows …
- **Worth remembering:** \`kubectl get pod --show-labels\` shows …
- **The real thing differs:** where the simulation leaves something out.
- **Next:** the question that this chapter leaves open.
`;
