import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { Allocator, staticBand } from "../../kernel-lib/api/service/allocator";
import { parseCidr } from "../../kernel-lib/api/validation/ip";
import { validateExternalTraffic, validateService } from "../../kernel-lib/api/validation/service";
import { Random } from "../../kernel-lib/sim/random";
import { requireOrSkip } from "../judges";

/** Kubernetes' own test cases; in shared/cases beside the checkout, or in the folder that KUBEBOOK_CASES names. */
const folder = process.env.KUBEBOOK_CASES ?? join(__dirname, "../../../shared/cases");
const there = existsSync(folder);

test("Kubernetes' own cases are at hand", (context) => {
  requireOrSkip(context, there, "no folder shared/cases beside the checkout, and KUBEBOOK_CASES names none");
  expect(read("service_validation.json").length).toBeGreaterThan(50);
});

interface Case {
  readonly name: string;
  readonly source: { readonly function?: string };
  readonly service?: unknown;
  readonly expectErrors?: number;
}

function read(file: string): readonly Case[] {
  return there ? (JSON.parse(readFileSync(`${folder}/${file}`, "utf8")) as { cases: Case[] }).cases : [];
}

describe.skipIf(!there)("Kubernetes' own cases: Service validation", () => {
  test.each(read("service_validation.json"))("$name", ({ service, expectErrors, source }) => {
    const object = service as Kinds["Service"];
    const errors =
      source.function === "ValidateServiceCreate" ? validateService(object) : validateExternalTraffic(object.spec);
    expect(errors.length, JSON.stringify(errors)).toBe(expectErrors);
  });
});

describe.skipIf(!there)("Kubernetes' own cases: allocation", () => {
  const facts = there ? JSON.parse(readFileSync(`${folder}/allocation.json`, "utf8")) : { staticBand: { rows: [] } };
  test.each(facts.staticBand.rows as { cidr: string; offset: number }[])(
    "the low band of $cidr",
    ({ cidr, offset }) => {
      expect(staticBand(Number(parseCidr(cidr)?.size), 16, 16, 256)).toBe(offset);
    },
  );

  test("the low band is handed out last, and what is released is found again", () => {
    const ips = new Allocator(126, 16, new Random(1));
    const order = Array.from({ length: 126 }, () => {
      const next = ips.next() as number;
      expect(ips.take(next)).toBe(true);
      return next;
    });
    expect(order.slice(0, 110).every((index) => index >= 16)).toBe(true);
    expect(new Set(order).size).toBe(126);
    expect(ips.next()).toBeUndefined();
    ips.release(42);
    expect(ips.next()).toBe(42);
    expect(ips.take(41)).toBe(false);
    expect(ips.take(126)).toBe(false);
  });
});
