/** Tests the WebSocket formats of kernel messages against JupyterLab's own code for them. */
import { deserialize, serialize } from "@jupyterlab/services/lib/kernel/serialize";
import { describe, expect, test } from "vitest";
import type { Message } from "../../../kernel-lib/course/protocol";
import { decode, encode, v1 } from "../../../kernel-lib/course/server/socketmessage";
import { newMessage } from "../../../kernel-lib/course/wire";

const plain = { ...newMessage("stream", { name: "stdout", text: "größer 🙂\n" }, "s"), metadata: { a: [1, null] } };
const withBuffers: Message = {
  ...plain,
  buffers: [new Uint8Array([0, 1, 255]), new Uint8Array(0), new Uint8Array([7])],
};

function arrayBuffer(data: string | Buffer): string | ArrayBuffer {
  if (typeof data === "string") return data;
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
}

describe.each([
  ["v1", v1],
  ["default", ""],
])("the %s format", (_, protocol) => {
  test.each([
    ["without buffers", plain],
    ["with buffers", withBuffers],
  ])("is read by JupyterLab %s", (__, message) => {
    const read = deserialize(arrayBuffer(encode("iopub", message, protocol)) as ArrayBuffer, protocol);
    expect(read.channel).toBe("iopub");
    expect({ ...read, buffers: undefined, channel: undefined }).toEqual({
      ...message,
      buffers: undefined,
      channel: undefined,
    });
    const buffers = (read.buffers ?? []) as DataView[];
    expect(buffers.map((view) => [...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)])).toEqual(
      (message.buffers ?? []).map((bytes) => [...bytes]),
    );
  });

  test("is understood as JupyterLab writes it", () => {
    const written = serialize({ ...plain, channel: "shell" } as unknown as Parameters<typeof serialize>[0], protocol);
    const data = typeof written === "string" ? Buffer.from(written) : Buffer.from(written as ArrayBuffer);
    const read = decode(data, typeof written !== "string", protocol);
    expect(read).toEqual({ channel: "shell", message: plain });
  });
});

test("what is cut off or points outside itself is refused", () => {
  const whole = encode("shell", plain, v1) as Buffer;
  for (const length of [0, 7, 8, 40, 63]) expect(() => decode(whole.subarray(0, length), true, v1)).toThrow();
  const far = Buffer.from(whole);
  far.writeBigUInt64LE(2n ** 40n, 16);
  expect(() => decode(far, true, v1)).toThrow("an offset that does not fit");
  const huge = Buffer.from(whole);
  huge.writeBigUInt64LE(2n ** 60n, 0);
  expect(() => decode(huge, true, v1)).toThrow("a count of offsets that does not fit");
});
