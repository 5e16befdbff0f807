/** Owns the last lines of a test run: why each skipped judge was skipped, and one plain line of counts. */
import type { Reporter, TestCase, TestModule } from "vitest/node";

export default class ClosingLines implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const skipped: TestCase[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") counts.passed++;
        else if (state === "failed") counts.failed++;
        else {
          counts.skipped++;
          skipped.push(test);
        }
      }
    }
    for (const test of skipped) {
      const result = test.result();
      const reason = (result.state === "skipped" && result.note) || "no reason given";
      process.stdout.write(`skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${reason}\n`);
    }
    process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}
