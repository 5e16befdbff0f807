/** Owns how kernel messages travel over a WebSocket: Jupyter's two formats, "v1" and the older default. */
import type { Channel, Message } from "../protocol";
import { isObject } from "./http";

/** The subprotocol that names the newer format (Jupyter Server, "WebSocket kernel wire protocols"). */
export const v1 = "v1.kernel.websocket.jupyter.org";

export interface SocketMessage {
  readonly channel: Channel;
  readonly message: Message;
}

/** A message as one WebSocket frame: bytes in v1, else JSON unless there are buffers. */
export function encode(channel: Channel, message: Message, protocol: string): string | Buffer {
  const { header, parent_header, metadata, content, buffers = [] } = message;
  if (protocol === v1) {
    const json = [header, parent_header, metadata, content].map((part) => Buffer.from(JSON.stringify(part)));
    return encodeV1([Buffer.from(channel), ...json, ...buffers]);
  }
  const whole = JSON.stringify({ channel, header, parent_header, metadata, content });
  return buffers.length === 0 ? whole : encodeBinary([Buffer.from(whole), ...buffers]);
}

/** Count, then the offset of each part and of the end, as 64-bit little endian; then the parts. */
function encodeV1(parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(8 * (parts.length + 2));
  head.writeBigUInt64LE(BigInt(parts.length + 1), 0);
  let offset = head.length;
  parts.forEach((part, index) => {
    head.writeBigUInt64LE(BigInt(offset), 8 * (index + 1));
    offset += part.length;
  });
  head.writeBigUInt64LE(BigInt(offset), 8 * (parts.length + 1));
  return Buffer.concat([head, ...parts]);
}

/** Count, then the offset of each part, as 32-bit big endian; then the parts. */
function encodeBinary(parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(4 * (parts.length + 1));
  head.writeUInt32BE(parts.length, 0);
  let offset = head.length;
  parts.forEach((part, index) => {
    head.writeUInt32BE(offset, 4 * (index + 1));
    offset += part.length;
  });
  return Buffer.concat([head, ...parts]);
}

/** The message in a frame. @throws Error where the frame holds none */
export function decode(data: Buffer, binary: boolean, protocol: string): SocketMessage {
  if (protocol === v1) {
    const [channel, header, parent, metadata, content, ...buffers] = decodeV1(data);
    const object = (part: Buffer | undefined) => JSON.parse((part ?? Buffer.from("")).toString()) as unknown;
    return checked(
      { channel: channel?.toString(), header: object(header), parent_header: object(parent) },
      { metadata: object(metadata), content: object(content) },
      buffers,
    );
  }
  const [first, ...buffers] = binary ? decodeBinary(data) : [data];
  const whole = JSON.parse((first ?? Buffer.from("")).toString()) as unknown;
  if (!isObject(whole)) throw new Error("not an object");
  return checked(whole, whole, buffers);
}

function decodeV1(data: Buffer): Buffer[] {
  const count = Number(data.readBigUInt64LE(0));
  if (count < 6 || 8 * (count + 1) > data.length) throw new Error("a count of offsets that does not fit");
  const offsets = Array.from({ length: count }, (_, index) => Number(data.readBigUInt64LE(8 * (index + 1))));
  return slices(data, offsets, 8 * (count + 1));
}

function decodeBinary(data: Buffer): Buffer[] {
  const count = data.readUInt32BE(0);
  if (count < 1 || 4 * (count + 1) > data.length) throw new Error("a count of offsets that does not fit");
  const offsets = Array.from({ length: count }, (_, index) => data.readUInt32BE(4 * (index + 1)));
  return slices(data, [...offsets, data.length], 4 * (count + 1));
}

function slices(data: Buffer, offsets: readonly number[], from: number): Buffer[] {
  let last = from;
  for (const offset of offsets) {
    if (offset < last || offset > data.length) throw new Error("an offset that does not fit");
    last = offset;
  }
  return offsets.slice(1).map((end, index) => data.subarray(offsets[index], end));
}

const channels: ReadonlySet<unknown> = new Set(["shell", "control", "stdin", "iopub"]);

function checked(
  { channel, header, parent_header }: { channel?: unknown; header?: unknown; parent_header?: unknown },
  { metadata, content }: { metadata?: unknown; content?: unknown },
  buffers: readonly Uint8Array[],
): SocketMessage {
  if (!isObject(header) || typeof header.msg_id !== "string" || typeof header.msg_type !== "string") {
    throw new Error("a message without a header");
  }
  if (typeof header.session !== "string" || !isObject(content)) throw new Error("a message without session or content");
  // As Jupyter Server has it, what names no channel is meant for the shell.
  const where = channel ?? "shell";
  if (!channels.has(where)) throw new Error("no such channel");
  return {
    channel: where as Channel,
    message: {
      header: header as unknown as Message["header"],
      parent_header: (isObject(parent_header) ? parent_header : {}) as Message["parent_header"],
      metadata: isObject(metadata) ? metadata : {},
      content,
      ...(buffers.length > 0 ? { buffers } : {}),
    },
  };
}
