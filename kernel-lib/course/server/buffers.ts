/** Owns what a kernel said to sessions whose page is away (a reload, a sleeping laptop), until they come back. */
import type { Channel, Message } from "../protocol";
import { newMessage } from "../wire";

/** Bounds, so that a page that never comes back does not fill the memory. */
const mostSessions = 8;
const mostCharacters = 32 * 1024 * 1024;

interface Kept {
  readonly messages: (readonly [Channel, Message])[];
  characters: number;
  dropped: number;
  last: Message | undefined;
}

export class Buffers {
  private readonly sessions = new Map<string, Kept>();

  /** Begins to keep what this session would get. Beyond eight sessions the one that left first is given up. */
  keep(session: string): void {
    if (this.sessions.has(session)) return;
    this.sessions.set(session, { messages: [], characters: 0, dropped: 0, last: undefined });
    const [oldest] = this.sessions.keys();
    if (this.sessions.size > mostSessions && oldest !== undefined) this.sessions.delete(oldest);
  }

  add(session: string, channel: Channel, message: Message): void {
    const kept = this.sessions.get(session);
    if (kept !== undefined) addTo(kept, channel, message);
  }

  addToAll(channel: Channel, message: Message): void {
    for (const kept of this.sessions.values()) addTo(kept, channel, message);
  }

  /** What was kept for this session, in order; where some was dropped, a line on stderr says how much. */
  take(session: string): (readonly [Channel, Message])[] {
    const kept = this.sessions.get(session);
    if (kept === undefined) return [];
    this.sessions.delete(session);
    const { messages, dropped, last } = kept;
    if (dropped === 0 || last === undefined) return messages;
    const text = `${dropped} messages of the kernel were dropped while this page was away.\n`;
    const parent = last.parent_header;
    return [...messages, ["iopub", newMessage("stream", { name: "stderr", text }, last.header.session, parent)]];
  }

  clear(): void {
    this.sessions.clear();
  }
}

function addTo(kept: Kept, channel: Channel, message: Message): void {
  const size = JSON.stringify(message.content).length + 400;
  // Replies and states are small, and a page that misses one waits for ever: only output is dropped.
  const output = channel === "iopub" && message.header.msg_type !== "status";
  if (output && kept.characters + size > mostCharacters) {
    kept.dropped += 1;
    kept.last = message;
    return;
  }
  kept.characters += size;
  kept.messages.push([channel, message]);
}
