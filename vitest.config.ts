import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    pool: "forks",
    // By itself it would leave one core idle: half of two.
    maxWorkers: "100%",
    reporters: ["default", "./test/reporter.ts"],
  },
});
