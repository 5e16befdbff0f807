import fc from "fast-check";
import { expect, test } from "vitest";
import { formatRequest, formatResponse, HttpReader, header, httpDate, keepsAlive } from "../../kernel-lib/apps/http";
import { epoch } from "../../kernel-lib/sim/sim";

const messages = [
  formatRequest({ method: "GET", target: "/", headers: [["Host", "web"]], body: "" }),
  formatRequest({ method: "POST", target: "/grüße?x=1", headers: [["Host", "web"]], body: "naïve — 𝄞" }),
].join("");

test("requests are read alike wherever the stream is cut, bodies counted in octets", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: messages.length }), { maxLength: 6 }), (cuts) => {
      const reader = HttpReader.requests();
      const bodies: string[] = [];
      const places = [0, ...cuts.sort((one, other) => one - other), messages.length];
      for (let at = 1; at < places.length; at++) {
        reader.feed(messages.slice(places[at - 1], places[at]));
        for (let next = reader.next(); next && next !== "bad"; next = reader.next())
          bodies.push(`${next.method} ${next.body}`);
      }
      expect(bodies).toEqual(["GET ", "POST naïve — 𝄞"]);
    }),
  );
});

test("a stream that is no HTTP is called bad, and stays so", () => {
  const reader = HttpReader.requests();
  reader.feed("hello there\r\n\r\n");
  expect(reader.next()).toBe("bad");
  reader.feed(messages);
  expect(reader.next()).toBe("bad");
});

test("a response without a length lasts until the stream ends; one to HEAD has no body", () => {
  const open = HttpReader.responses();
  open.feed("HTTP/1.0 200 OK\r\nServer: old\r\n\r\nto the end");
  expect(open.next()).toBeUndefined();
  expect(open.next(true)).toMatchObject({ status: 200, body: "to the end" });
  const head = HttpReader.responses();
  head.expectsNoBody = true;
  head.feed(formatResponse({ status: 200, headers: [["Content-Length", "600"]], body: "" }));
  expect(head.next()).toMatchObject({ status: 200, body: "" });
});

test("header fields are found without case, connections last as the version says, dates are those of HTTP", () => {
  expect(header([["Content-Type", "text/html"]], "content-type")).toBe("text/html");
  expect(keepsAlive({ version: "HTTP/1.1", headers: [] })).toBe(true);
  expect(keepsAlive({ version: "HTTP/1.0", headers: [] })).toBe(false);
  expect(keepsAlive({ version: "HTTP/1.1", headers: [["Connection", "Close"]] })).toBe(false);
  expect(httpDate(epoch)).toBe("Thu, 01 Jan 2026 00:00:00 GMT");
});
