"""Jupyter's own kernel test suite, with what our kernel claims to do. Run by jupyter.test.ts."""
import unittest

from jupyter_kernel_test import IopubWelcomeTests, KernelTests


class KubebookTests(KernelTests):
    kernel_name = "kubebook"
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = 'console.log("hello, world")'
    code_stderr = 'console.error("trouble")'
    completion_samples = [
        {"text": "consol", "matches": {"console"}},
        {"text": "[1].flatM", "matches": {"flatMap"}},
        {"text": "const a\u0301b\U0001f600 = 1; process.exitC"},
    ]
    complete_code_samples = ["1", "const a = 1;", "function f() {\n  return 1;\n}", "await 1", "type A = { b: string }"]
    incomplete_code_samples = ["function f() {", "const a = [1,", "f(", "const s = `one\n", "/* begun"]
    invalid_code_samples = ["const = 1;", "1 +* 2", "}"]
    code_generate_error = 'throw new Error("on purpose")'
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "'text'", "result": "'text'"},
        {"code": "({ a: [1, 2] })", "result": "{ a: [ 1, 2 ] }"},
        {
            "code": '({ [Symbol.for("Jupyter.display")]: () => ({ "text/html": "<b>x</b>" }) })',
            "mime": "text/html",
            "result": "<b>x</b>",
        },
    ]
    code_display_data = [
        {"code": 'import * as tslab from "tslab"; tslab.display.html("<b>x</b>")', "mime": "text/html"},
        {"code": 'require("tslab").display.png(new Uint8Array([1, 2, 3]))', "mime": "image/png"},
        {
            "code": '(globalThis as any)[Symbol.for("kubebook.display")]({ data: { "image/svg+xml": "<svg/>" } })',
            "mime": "image/svg+xml",
        },
    ]
    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "6 ? 7"
    code_inspect_sample = "Math.max"
    code_clear_output = '(globalThis as any)[Symbol.for("kubebook.display")]({ clear: true, wait: true })'


class KubebookWelcomeTests(IopubWelcomeTests):
    kernel_name = "kubebook"
    support_iopub_welcome = True


# The suites themselves are not to be run with their default kernel.
del KernelTests, IopubWelcomeTests

if __name__ == "__main__":
    unittest.main(verbosity=2)
