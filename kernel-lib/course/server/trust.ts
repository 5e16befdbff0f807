/** Owns which notebooks' outputs were made here: JupyterLab cleans the HTML of all others (nbformat, "Security"). */
import { createHmac, randomBytes } from "node:crypto";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isObject } from "./http";
import type { Cell, Notebook } from "./notebookfile";
import { writeNotebook } from "./notebookfile";

const most = 10_000;

export class Trust {
  private known: Promise<{ readonly key: string; readonly signatures: Set<string> }> | undefined;

  /** @param state the server's own folder */
  constructor(private readonly state: string) {}

  /** The notebook with its code cells marked trusted or not, as front ends expect it. */
  async mark(notebook: Notebook): Promise<Notebook> {
    const { key, signatures } = await this.load();
    const trusted = signatures.has(sign(notebook, key));
    const cells = notebook.cells.map((cell) =>
      cell.cell_type === "code" ? { ...cell, metadata: { ...cell.metadata, trusted } } : cell,
    );
    return { ...notebook, cells };
  }

  /** Remembers a notebook whose every output was made in front of the learner, or that holds none. */
  async saved(notebook: Notebook): Promise<void> {
    if (notebook.cells.every(isTrusted)) await this.trust(notebook);
  }

  /** Remembers a notebook as it is. */
  async trust(notebook: Notebook): Promise<void> {
    const { key, signatures } = await this.load();
    const signature = sign(notebook, key);
    if (signatures.has(signature)) return;
    signatures.add(signature);
    await appendFile(this.signatureFile, `${signature}\n`, { mode: 0o600 }).catch(() => {});
  }

  private get signatureFile(): string {
    return join(this.state, "trusted");
  }

  private load() {
    this.known ??= this.read();
    return this.known;
  }

  private async read() {
    const keyFile = join(this.state, "trust.key");
    let key = await readFile(keyFile, "utf8").catch(() => "");
    if (key.length !== 64) {
      key = randomBytes(32).toString("hex");
      // Where nothing can be written the learner can still read; the trust then lasts as long as the server.
      await mkdir(this.state, { recursive: true, mode: 0o700 }).catch(() => {});
      await writeFile(keyFile, key, { mode: 0o600 }).catch(() => {});
    }
    const lines = (await readFile(this.signatureFile, "utf8").catch(() => ""))
      .split("\n")
      .filter((line) => line !== "");
    const kept = lines.slice(-most);
    if (kept.length < lines.length) {
      await writeFile(this.signatureFile, `${kept.join("\n")}\n`, { mode: 0o600 }).catch(() => {});
    }
    return { key, signatures: new Set(kept) };
  }
}

/** Of the notebook as its file would be: without marks of trust. */
function sign(notebook: Notebook, key: string): string {
  return createHmac("sha256", key).update(writeNotebook(notebook)).digest("hex");
}

/** Streams and errors are plain text and need no trust. */
function isTrusted(cell: Cell): boolean {
  if (cell.cell_type !== "code" || cell.metadata.trusted === true || !Array.isArray(cell.outputs)) return true;
  return cell.outputs.every(
    (output) => isObject(output) && (output.output_type === "stream" || output.output_type === "error"),
  );
}
