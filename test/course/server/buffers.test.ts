/** Tests what is kept for a page that is away, and that it does not grow for ever. */
import { expect, test } from "vitest";
import type { Message } from "../../../kernel-lib/course/protocol";
import { Buffers } from "../../../kernel-lib/course/server/buffers";
import { newMessage } from "../../../kernel-lib/course/wire";

const parent = newMessage("execute_request", {}, "page").header;
const stream = (text: string): Message => newMessage("stream", { name: "stdout", text }, "kernel", parent);
const idle = newMessage("status", { execution_state: "idle" }, "kernel", parent);

test("a huge output is dropped beyond a limit, with a line that says so; replies and states are not", () => {
  const buffers = new Buffers();
  buffers.keep("page");
  const megabyte = "x".repeat(1024 * 1024);
  for (let part = 0; part < 100; part += 1) buffers.addToAll("iopub", stream(megabyte));
  const reply = newMessage("execute_reply", { status: "ok" }, "kernel", parent);
  buffers.add("page", "shell", reply);
  buffers.addToAll("iopub", idle);
  const kept = buffers.take("page");
  const texts = kept.filter(([, { header }]) => header.msg_type === "stream").map(([, { content }]) => content.text);
  expect(texts.filter((text) => text === megabyte)).toHaveLength(31);
  expect(texts.at(-1)).toBe("69 messages of the kernel were dropped while this page was away.\n");
  expect(kept).toContainEqual(["shell", reply]);
  expect(kept).toContainEqual(["iopub", idle]);
});

test("only the eight sessions that left last are waited for, and each is given its messages once", () => {
  const buffers = new Buffers();
  for (let page = 0; page < 10; page += 1) buffers.keep(`page ${page}`);
  buffers.addToAll("iopub", idle);
  expect(buffers.take("page 0")).toEqual([]);
  expect(buffers.take("page 2")).toEqual([["iopub", idle]]);
  expect(buffers.take("page 2")).toEqual([]);
});
