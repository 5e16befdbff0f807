/** Owns the order of things in the kernel: which request is next, what is published for it, what is aborted. */
import type { Channel, Header } from "../protocol";
import type { Received } from "../wire";
import type { History } from "./history";
import type { Event, Job, StreamName } from "./jobs";

/** Where answers go. `content` may be JSON already. */
export interface Wire {
  publish(type: string, content: Record<string, unknown> | string, parent: Header | Record<string, never>): void;
  reply(channel: Channel, to: Received, type: string, content: Record<string, unknown>): void;
  /** Resolves when everything has been received that clients have sent so far. */
  drained(): Promise<void>;
}

/** What a kernel does beside answering. */
export interface Surroundings {
  readonly info: Record<string, unknown>;
  readonly history: History;
  readonly wire: Wire;
  /** Hands a job to the engine. */
  readonly work: (job: Job) => void;
  /** Stops the execution with this id. */
  readonly interrupt: (id: number) => void;
  /** Ends the process, after the reply is out. */
  readonly end: () => void;
}

interface Request {
  readonly channel: Channel;
  readonly received: Received;
  readonly type: string;
  readonly content: Record<string, unknown>;
}

interface Working {
  readonly request: Request;
  readonly id: number;
  readonly executing?: { readonly count: number; readonly stopOnError: boolean };
}

const batchMilliseconds = 10;
const batchCharacters = 65_536;
/** How many executions back a late print still finds its cell. */
const rememberedCells = 10_000;

/** The kernel's requests, one after the other on shell, at once on control. */
export class Requests {
  readonly #around: Surroundings;
  readonly #queue: Request[] = [];
  readonly #parents = new Map<number, Header>();
  #working: Working | undefined;
  #lastId = 0;
  #count = 0;
  #batch: { cell: number; name: StreamName; text: string; timer: NodeJS.Timeout } | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** A message came from a client. */
  receive(channel: "shell" | "control", received: Received): void {
    const { header, content } = received.message;
    const request = { channel, received, type: header.msg_type, content };
    if (channel === "control") {
      this.#status("busy", request);
      this.#answerAtOnce(request);
      this.#status("idle", request);
      return;
    }
    this.#queue.push(request);
    this.#next();
  }

  /** Stops the execution that runs now, if one does. */
  interrupt(): void {
    if (this.#working?.executing) this.#around.interrupt(this.#working.id);
  }

  /** The engine says something. */
  event(event: Event): void {
    switch (event.kind) {
      case "stream":
        this.#stream(event.cell, event.name, event.text);
        break;
      case "publish":
        this.#flush();
        if (event.type === "execute_result") this.#remember(event.json);
        this.#around.wire.publish(event.type, event.json, this.#parents.get(event.cell) ?? {});
        break;
      case "answer":
        if (this.#working?.id === event.id) this.#finish(this.#working, event.content);
        break;
      case "leaving":
        this.#flush();
        break;
      case "ready":
      case "interrupted":
        break; // the interrupter's business
    }
  }

  #next(): void {
    const request = this.#working ? undefined : this.#queue.shift();
    if (!request) return;
    this.#status("busy", request);
    if (this.#begin(request)) return;
    this.#answerAtOnce(request);
    this.#status("idle", request);
    this.#next();
  }

  /** Hands a request to the engine, where that is who knows. */
  #begin(request: Request): boolean {
    const { content } = request;
    const code = typeof content.code === "string" ? content.code : "";
    const cursor = typeof content.cursor_pos === "number" ? content.cursor_pos : code.length;
    this.#lastId += 1;
    const id = this.#lastId;
    switch (request.type) {
      case "execute_request":
        this.#execute(request, id, code);
        return true;
      case "complete_request":
        this.#working = { request, id };
        this.#around.work({ kind: "complete", id, code, cursor });
        return true;
      case "inspect_request":
        this.#working = { request, id };
        this.#around.work({ kind: "inspect", id, code, cursor });
        return true;
      case "is_complete_request":
        this.#working = { request, id };
        this.#around.work({ kind: "isComplete", id, code });
        return true;
      default:
        return false;
    }
  }

  #execute(request: Request, id: number, code: string): void {
    const { content, received } = request;
    const silent = content.silent === true;
    const counted = !silent && content.store_history !== false;
    if (counted) {
      this.#count += 1;
      this.#around.history.add(this.#count, code);
    }
    const header = received.message.header;
    this.#parents.set(id, header);
    const oldest = this.#parents.size > rememberedCells ? this.#parents.keys().next().value : undefined;
    if (oldest !== undefined) this.#parents.delete(oldest);
    if (!silent) this.#around.wire.publish("execute_input", { code, execution_count: this.#count }, header);
    const executing = { count: this.#count, stopOnError: content.stop_on_error !== false };
    this.#working = { request, id, executing };
    const userExpressions = textFields(content.user_expressions);
    this.#around.work({ kind: "execute", id, label: this.#count, code, silent, userExpressions });
  }

  #finish(working: Working, content: Record<string, unknown>): void {
    const { request, executing } = working;
    this.#flush();
    if (executing?.stopOnError && content.status === "error") {
      void this.#fail(working, content);
      return;
    }
    this.#working = undefined;
    this.#reply(request, { ...content, ...(executing ? { execution_count: executing.count } : {}) });
    this.#status("idle", request);
    this.#next();
  }

  /**
   * The protocol's stop_on_error: what was queued behind a failed execution is not run but answered `aborted`. Queued is
   * what had come before the failure was told, also what the socket still held; what a client sends knowing of the
   * failure is run.
   */
  async #fail({ request, executing }: Working, content: Record<string, unknown>): Promise<void> {
    await this.#around.wire.drained();
    const queued = this.#queue.splice(0);
    this.#working = undefined;
    this.#reply(request, { ...content, execution_count: executing?.count ?? 0 });
    this.#status("idle", request);
    for (const each of queued) {
      if (each.type !== "execute_request") {
        this.#queue.push(each);
        continue;
      }
      this.#status("busy", each);
      this.#reply(each, { status: "aborted", execution_count: this.#count });
      this.#status("idle", each);
    }
    this.#next();
  }

  #reply(request: Request, content: Record<string, unknown>): void {
    const type = request.type.replace("_request", "_reply");
    this.#around.wire.reply(request.channel, request.received, type, content);
  }

  #answerAtOnce(request: Request): void {
    const { wire, history, info } = this.#around;
    switch (request.type) {
      case "kernel_info_request":
        this.#reply(request, info);
        break;
      case "history_request":
        this.#reply(request, history.reply(request.content));
        break;
      case "comm_info_request":
        this.#reply(request, { status: "ok", comms: {} });
        break;
      case "comm_open": // we have no comms: say so, as the protocol asks for an unknown target
        wire.publish("comm_close", { comm_id: request.content.comm_id, data: {} }, request.received.message.header);
        break;
      case "interrupt_request":
        this.interrupt();
        this.#reply(request, { status: "ok" });
        break;
      case "shutdown_request":
        this.#flush();
        this.#reply(request, { status: "ok", restart: request.content.restart === true });
        this.#around.end();
        break;
      default:
        break; // an unknown message is ignored, as the protocol wants
    }
  }

  #status(state: "busy" | "idle", request: Request): void {
    this.#around.wire.publish("status", { execution_state: state }, request.received.message.header);
  }

  /** Text is gathered for a moment, so that a thousand lines are not a thousand messages. */
  #stream(cell: number, name: StreamName, text: string): void {
    if (this.#batch && (this.#batch.cell !== cell || this.#batch.name !== name)) this.#flush();
    if (this.#batch) this.#batch.text += text;
    else this.#batch = { cell, name, text, timer: setTimeout(() => this.#flush(), batchMilliseconds) };
    if (this.#batch.text.length > batchCharacters) this.#flush();
  }

  #flush(): void {
    const batch = this.#batch;
    if (!batch) return;
    this.#batch = undefined;
    clearTimeout(batch.timer);
    this.#around.wire.publish("stream", { name: batch.name, text: batch.text }, this.#parents.get(batch.cell) ?? {});
  }

  #remember(json: string): void {
    const { execution_count, data } = JSON.parse(json) as { execution_count: number; data: Record<string, unknown> };
    const text = data["text/plain"];
    if (typeof text === "string") this.#around.history.result(execution_count, text);
  }
}

function textFields(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}
