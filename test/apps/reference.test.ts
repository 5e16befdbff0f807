import { expect, test } from "vitest";
import { Store } from "../../kernel-lib/api/store";
import { isPullFailure } from "../../kernel-lib/apps/image";
import { createRegistry } from "../../kernel-lib/apps/images";
import { formatReference, parseReference } from "../../kernel-lib/apps/reference";
import { createSim } from "../../kernel-lib/sim/sim";

test.each([
  ["nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.28", "docker.io/library/nginx:1.28"],
  ["radial/busyboxplus:curl", "docker.io/radial/busyboxplus:curl"],
  ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
  ["registry.k8s.io/echoserver:1.4", "registry.k8s.io/echoserver:1.4"],
  ["localhost:5000/app", "localhost:5000/app:latest"],
  [`nginx@sha256:${"a".repeat(64)}`, `docker.io/library/nginx@sha256:${"a".repeat(64)}`],
])("%s means %s", (text, full) => {
  const parsed = parseReference(text);
  expect("problem" in parsed ? parsed.problem : formatReference(parsed)).toBe(full);
});

test.each([
  ["", "invalid reference format"],
  ["nginx:", "invalid reference format"],
  ["a//b", "invalid reference format"],
  ["__proto__", "invalid reference format"],
  ["Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"],
])("%j is refused: %s", (text, problem) => {
  expect(parseReference(text)).toEqual({ problem });
});

test("the registry knows the course's images, and what it does not know it says as containerd does", () => {
  const registry = createRegistry({ dns: { store: new Store(createSim(1)) } });
  const pulled = (reference: string): string => {
    const result = registry.pull(reference);
    return isPullFailure(result) ? `${result.code}: ${result.message}` : result.reference;
  };
  for (const image of [
    "library/nginx:latest",
    "library/busybox:1.28",
    "radial/busyboxplus:curl",
    "curlimages/curl:8.10.1",
  ]) {
    expect(pulled(`docker.io/${image}`)).toBe(`docker.io/${image}`);
  }
  expect(pulled("docker.io/library/nginx:1.161")).toMatch(/^NotFound: .*docker\.io\/library\/nginx:1\.161: not found$/);
  expect(pulled("docker.io/library/constructor:latest")).toMatch(
    /^Unknown: .*insufficient_scope: authorization failed$/,
  );
});
