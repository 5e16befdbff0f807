import { expect, test } from "vitest";
import { frameMessage, newMessage, unframe } from "../../kernel-lib/course/wire";

const key = "secret";
const message = newMessage("execute_request", { code: "1 + 1 // ünï 😀" }, "session");

test("a message comes out of its frames as it went in, with identities and buffers", () => {
  const sent = { ...message, buffers: [new Uint8Array([1, 2, 3])] };
  const received = unframe(frameMessage(sent, key, [Buffer.from("client")]), key);
  expect(received.identities.map(String)).toEqual(["client"]);
  expect(received.message.header).toEqual(message.header);
  expect(received.message.content).toEqual(message.content);
  expect(received.message.buffers?.map((buffer) => [...buffer])).toEqual([[1, 2, 3]]);
});

test("a message with another key's signature, or a changed part, is refused", () => {
  expect(() => unframe(frameMessage(message, "other"), key)).toThrow("wrong signature");
  expect(() => unframe(frameMessage(message, ""), key)).toThrow("wrong signature");
  const frames = frameMessage(message, key);
  frames[5] = Buffer.from('{"code":"evil()"}');
  expect(() => unframe(frames, key)).toThrow("wrong signature");
});

test("what is no message at all is refused with a reason", () => {
  expect(() => unframe([Buffer.from("x")], key)).toThrow("without delimiter");
  expect(() => unframe(frameMessage(message, key).slice(0, 4), key)).toThrow("missing parts");
});
