/** Owns how Jupyter messages travel over ZeroMQ: framing, signing, and the addresses of a kernel's sockets. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { type Channel, type ConnectionInfo, type Header, type Message, protocolVersion } from "./protocol";

const delimiter = Buffer.from("<IDS|MSG>");

/** The four parts of a message that are signed, as the JSON that goes over the wire. */
export interface Parts {
  readonly header: string;
  readonly parent: string;
  readonly metadata: string;
  readonly content: string;
}

/** A message as it came from a socket: with the routing identities that lead back to its sender. */
export interface Received {
  readonly identities: readonly Buffer[];
  readonly message: Message;
}

/** A new header. `session` names the sender, as Jupyter clients and kernels do. */
export function newHeader(type: string, session: string, username = "kubebook"): Header {
  return {
    msg_id: randomUUID(),
    session,
    username,
    date: new Date().toISOString(),
    msg_type: type,
    version: protocolVersion,
  };
}

/** A new message of a session. */
export function newMessage(
  type: string,
  content: Record<string, unknown>,
  session: string,
  parent: Header | Record<string, never> = {},
): Message {
  return { header: newHeader(type, session), parent_header: parent, metadata: {}, content };
}

/**
 * The frames of a message (Jupyter messaging, "The wire protocol"): identities, delimiter, signature, four JSON parts,
 * buffers. With an empty key messages are not signed, as the protocol allows.
 */
export function frame(
  parts: Parts,
  key: string,
  identities: readonly Buffer[] = [],
  buffers: readonly Uint8Array[] = [],
): Buffer[] {
  const bodies = [parts.header, parts.parent, parts.metadata, parts.content].map((part) => Buffer.from(part));
  return [...identities, delimiter, Buffer.from(sign(bodies, key)), ...bodies, ...buffers.map((b) => Buffer.from(b))];
}

/** The frames of a message that is still an object. */
export function frameMessage(message: Message, key: string, identities: readonly Buffer[] = []): Buffer[] {
  const parts = {
    header: JSON.stringify(message.header),
    parent: JSON.stringify(message.parent_header),
    metadata: JSON.stringify(message.metadata),
    content: JSON.stringify(message.content),
  };
  return frame(parts, key, identities, message.buffers);
}

/** Reads a message, and checks its signature. Throws an Error that says what is wrong with it. */
export function unframe(frames: readonly Buffer[], key: string): Received {
  const start = frames.findIndex((part) => part.equals(delimiter));
  if (start < 0) throw new Error("message without delimiter <IDS|MSG>");
  const [signature, header, parent, metadata, content, ...buffers] = frames.slice(start + 1);
  if (!signature || !header || !parent || !metadata || !content) throw new Error("message with missing parts");
  const expected = Buffer.from(sign([header, parent, metadata, content], key));
  if (expected.length !== signature.length || !timingSafeEqual(expected, signature)) {
    throw new Error("message with a wrong signature");
  }
  const message = {
    header: jsonObject(header) as unknown as Header,
    parent_header: jsonObject(parent) as unknown as Header,
    metadata: jsonObject(metadata),
    content: jsonObject(content),
    ...(buffers.length > 0 ? { buffers } : {}),
  };
  if (typeof message.header.msg_type !== "string" || typeof message.header.msg_id !== "string") {
    throw new Error("message with an incomplete header");
  }
  return { identities: frames.slice(0, start), message };
}

/** The ZeroMQ address of one of a kernel's sockets; over ipc a "port" is the end of the socket's path. */
export function address(connection: ConnectionInfo, channel: Channel): string {
  const port = connection[`${channel}_port`];
  return connection.transport === "ipc" ? `ipc://${connection.ip}-${port}` : `tcp://${connection.ip}:${port}`;
}

function sign(parts: readonly Buffer[], key: string): string {
  if (key === "") return "";
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest("hex");
}

function jsonObject(part: Buffer): Record<string, unknown> {
  const value: unknown = JSON.parse(part.toString("utf8"));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("message part is no object");
  return value as Record<string, unknown>;
}
