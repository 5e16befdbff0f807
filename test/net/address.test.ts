import fc from "fast-check";
import { IPv4 } from "ip-num";
import { expect, test } from "vitest";
import * as address from "../../kernel-lib/net/address";

test("addresses read and print the same, IPv6 by RFC 5952", () => {
  const texts = ["0.0.0.0", "10.244.1.2", "255.255.255.255", "::", "::1", "fd00::1:0:0:1", "2001:db8:0:1:1:1:1:1"];
  for (const text of texts) expect(address.formatIp(address.parseIp(text))).toBe(text);
  expect(address.formatIp(address.parseIp("2001:DB8:0:0:0:0:2:1"))).toBe("2001:db8::2:1");
});

test("what is no address is refused with its text in the error", () => {
  for (const text of ["", "10.244.1", "10.0.0.256", "010.0.0.1", "10.0.0.1/24", "fd00:::1", "web"]) {
    expect(address.tryParseIp(text), text).toBeUndefined();
    expect(() => address.parseIp(text)).toThrow(JSON.stringify(text));
  }
  for (const text of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "fd00::/129", "10.0.0.0/08"]) {
    expect(() => address.parseCidr(text)).toThrow(`invalid CIDR address: ${text}`);
  }
});

test("the short way to read dotted addresses reads what the library reads, and refuses what it refuses", () => {
  const library = (text: string): number | undefined => {
    try {
      return Number(new IPv4(text).getValue());
    } catch {
      return undefined;
    }
  };
  const octet = fc.oneof(
    fc.integer({ min: 0, max: 300 }).map(String),
    fc.constantFrom("", "00", "01", "0x1", "-1", " 1"),
  );
  const text = fc.oneof(
    fc.array(octet, { minLength: 2, maxLength: 6 }).map((octets) => octets.join(".")),
    fc.tuple(octet, octet, octet, octet).map((octets) => octets.join(".")),
    fc.string({ maxLength: 12, unit: fc.constantFrom(..."0123456789./ a") }),
  );
  fc.assert(
    fc.property(text, (any) => {
      expect(address.tryParseIp(any)).toBe(library(any));
    }),
    { numRuns: 2000 },
  );
});

test("a prefix contains an address exactly when their first bits agree", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
      fc.integer({ min: 0, max: 32 }),
      (net, ip, length) => {
        const agrees = net >> BigInt(32 - length) === ip >> BigInt(32 - length);
        expect(address.contains({ ip: Number(net), length }, Number(ip))).toBe(agrees);
        const wide = { ip: net << 96n, length };
        expect(address.contains(wide, ip << 96n)).toBe(agrees);
      },
    ),
  );
});

test("a pod's MAC address holds its IPv4 address, as the bridge plugin makes it", () => {
  expect(address.macOfIp(address.parseIp("10.244.1.2"))).toBe("0a:58:0a:f4:01:02");
});
