/** Owns the WebSockets: pages in conversation with a kernel, and pages that wait for events. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Channel, Message } from "../protocol";
import { megabyte } from "./http";
import type { KernelClient, RunningKernel } from "./runningkernel";
import { decode, encode, v1 } from "./socketmessage";

/** A page that reads nothing while its kernel prints is cut off at this, before it fills our memory. */
const mostUnsent = 256 * megabyte;
const pingEvery = 30_000; // milliseconds

export class Channels {
  private readonly server = new WebSocketServer({
    noServer: true,
    maxPayload: 64 * megabyte,
    handleProtocols: (offered) => (offered.has(v1) ? v1 : false),
  });
  private readonly alive = new WeakSet<WebSocket>();
  private readonly bySession = new Map<string, WebSocket>();
  private readonly pings = setInterval(() => this.ping(), pingEvery).unref();

  constructor(private readonly log: (line: string) => void) {}

  /** Opens a page's conversation with a kernel, ready or not. `session` is what the page calls itself, if it does. */
  openKernel(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    kernel: RunningKernel,
    session: string | null,
  ): void {
    this.server.handleUpgrade(request, socket, head, (page) => {
      this.watch(page);
      this.replaceStale(`${kernel.id}:${session}`, session === null ? undefined : page);
      const sessions = new Set<string>(session === null ? [] : [session]);
      const client: KernelClient = { sessions, deliver: (channel, message) => deliver(page, channel, message) };
      page.on("message", (data: Buffer, binary) => {
        try {
          const { channel, message } = decode(data, binary, page.protocol);
          if (channel === "iopub" || channel === "hb") return;
          sessions.add(message.header.session);
          kernel.send(channel, message);
        } catch (error) {
          this.log(`a WebSocket message was ignored: ${error instanceof Error ? error.message : String(error)}`);
        }
      });
      page.on("close", () => kernel.leave(client));
      kernel.join(client, session ?? "");
    });
  }

  /** Opens a page's subscription to events. Nothing that JupyterLab waits for happens on this server, so it is quiet. */
  openEvents(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.server.handleUpgrade(request, socket, head, (page) => this.watch(page));
  }

  /** Closes all, as a server does that goes away (RFC 6455, 1001). */
  close(): void {
    clearInterval(this.pings);
    for (const page of this.server.clients) {
      page.close(1001);
      setTimeout(() => page.terminate(), 500).unref();
    }
  }

  private watch(page: WebSocket): void {
    this.alive.add(page);
    page.on("pong", () => this.alive.add(page));
    page.on("error", (error) => this.log(`a WebSocket failed: ${error.message}`));
  }

  /** Who did not answer the last ping has gone without saying so. */
  private ping(): void {
    for (const page of this.server.clients) {
      if (!this.alive.delete(page)) page.terminate();
      else page.ping();
    }
  }

  /** A page that comes back before we noticed that it had gone takes the place of its old socket. */
  private replaceStale(key: string, page: WebSocket | undefined): void {
    if (page === undefined) return;
    this.bySession.get(key)?.terminate();
    this.bySession.set(key, page);
    page.on("close", () => {
      if (this.bySession.get(key) === page) this.bySession.delete(key);
    });
  }
}

function deliver(page: WebSocket, channel: Channel, message: Message): void {
  if (page.readyState !== page.OPEN) return;
  if (page.bufferedAmount > mostUnsent) page.terminate();
  else page.send(encode(channel, message, page.protocol));
}
