/** Owns the progress of several jobs on standard error: one living line on a terminal, a line per finished job elsewhere. */

/** Where progress goes. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows how far each running job is. */
export class Progress {
  private readonly running = new Map<string, string>();
  private finished = 0;

  constructor(
    private readonly total: number,
    private readonly stream: ProgressStream = process.stderr,
  ) {}

  /** A job goes on: `05-connecting-applications 12/23`. */
  update(job: string, done: number, total: number): void {
    this.running.set(job, `${job} ${done}/${total}`);
    this.draw();
  }

  /** A job is done; its line stays. */
  finish(job: string, line: string): void {
    this.running.delete(job);
    this.finished++;
    this.clear();
    this.stream.write(`${line}\n`);
    this.draw();
  }

  /** Nothing runs any more: the living line goes. */
  clear(): void {
    if (this.stream.isTTY) this.stream.write("\r\x1b[2K");
  }

  private draw(): void {
    if (!this.stream.isTTY || this.running.size === 0) return;
    const text = `[${this.finished}/${this.total}] ${[...this.running.values()].join(" · ")}`;
    this.stream.write(`\r\x1b[2K${text.slice(0, (this.stream.columns ?? 80) - 1)}`);
  }
}
