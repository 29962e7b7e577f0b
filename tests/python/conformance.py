"""Jupyter's own suite for kernels, with every test switched on, and what the protocol says beyond it.

The suite is `jupyter_kernel_test`; its messages are checked against the protocol's schema as they come.
"""

import sys
import time
import unittest

import jupyter_kernel_test
from jupyter_kernel_test import msgspec_v5

KERNEL = "scorebook"
# The first completion waits for rust-analyzer's look at all dependencies.
WARM_UP = 60


def warm_up(client):
    """Waits until cells and completions are answered as fast as they will be."""
    client.execute_interactive("let warm = 1;", timeout=600, output_hook=lambda message: None)
    begun = time.time()
    while time.time() < begun + WARM_UP:
        reply = client.complete("warm.leading_ze", reply=True, timeout=WARM_UP)
        if reply["content"]["matches"]:
            return


class Suite(jupyter_kernel_test.KernelTests):
    kernel_name = KERNEL
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world")'
    code_stderr = 'eprintln!("a warning")'
    completion_samples = [
        {"text": "let warmer = war", "matches": {"warm"}},
        {"text": "Tensor::arange_st", "matches": {"arange_step"}},
        {"text": "warm.leading_ze", "matches": {"leading_zeros"}},
        {"text": ":show_d", "matches": {":show_deps"}},
    ]
    complete_code_samples = ["1", "let x = 1;", 'println!("{")', "fn f() -> u32 { 1 }", "// {", ":vars", ""]
    incomplete_code_samples = ["fn f() {", "let x = (1,", 'let s = "a', "/* a", "let x =", "1 +", "match x {", "struct P"]
    invalid_code_samples = ["f(]", "let = 1;", "fn 1() {}", "}", "let x = ;"]
    code_page_something = ":page Tensor"
    code_generate_error = 'panic!("on purpose")'
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "vec![1, 2]", "result": "[1, 2]"},
        {"code": '"text".to_string()', "result": "text"},
        {"code": "Some(1.5)", "result": "Some(1.5)"},
        {"code": 'notebook::Bundle::markdown("**m**")', "mime": "text/markdown", "result": "**m**"},
        {"code": "Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?", "mime": "text/html"},
        {"code": "Tensor::zeros((4, 1, 8, 8), DType::F32, &Device::Cpu)?", "mime": "image/png"},
        {"code": 'plot::line(&[("a", [(0., 0.), (1., 1.)])])?', "mime": "image/svg+xml"},
    ]
    code_display_data = [
        {"code": 'notebook::show("text");', "mime": "text/plain"},
        {"code": 'notebook::show(&notebook::Bundle::html("<b>h</b>"));', "mime": "text/html"},
        {"code": 'notebook::show(&notebook::Bundle::markdown("*m*"));', "mime": "text/markdown"},
        {"code": 'notebook::show(&notebook::Bundle::latex("$x$"));', "mime": "text/latex"},
        {"code": 'notebook::show(&notebook::Bundle::svg("<svg/>"));', "mime": "image/svg+xml"},
        {"code": "notebook::show(&notebook::Bundle::png(&[1, 2]));", "mime": "image/png"},
        {"code": 'notebook::show(&notebook::Bundle::json("json".into()));', "mime": "application/json"},
        # Whatever is shown has a plain text too.
        {"code": 'notebook::show(&notebook::Bundle::html("<b>h</b>"));', "mime": "text/plain"},
    ]
    code_history_pattern = "6 ?*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Tensor"
    code_clear_output = "notebook::clear_output(true);"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warm_up(cls.kc)

    def collect(self, send):
        """The reply to what `send` sends, and what is published about it, its states included."""
        self.flush_channels()
        id = send()
        published = []
        while not published or published[-1]["content"].get("execution_state") != "idle":
            message = self.kc.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == id:
                # The suite has no schema for comms.
                if message["msg_type"] != "comm_close":
                    msgspec_v5.validate_message(message, message["msg_type"], id)
                published.append(message)
        try:
            return self.kc.get_shell_msg(timeout=1), published
        except Exception:
            return None, published

    def ask(self, kind, content):
        def send():
            message = self.kc.session.msg(kind, content)
            self.kc.shell_channel.send(message)
            return message["header"]["msg_id"]

        return self.collect(send)

    def test_busy_and_idle_stand_around_every_request(self):
        requests = [
            ("kernel_info_request", {}),
            ("comm_info_request", {}),
            ("history_request", {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}),
            ("is_complete_request", {"code": "1"}),
            ("complete_request", {"code": "war", "cursor_pos": 3}),
            ("inspect_request", {"code": "warm", "cursor_pos": 4, "detail_level": 0}),
            ("no_such_request", {"a": 1}),
            ("no_request_at_all", {}),
            ("execute_request", {"code": 7}),
            ("comm_open", {"comm_id": "c", "target_name": "nobody", "data": {}}),
        ]
        for kind, content in requests:
            with self.subTest(kind=kind, content=content):
                reply, published = self.ask(kind, content)
                states = [m["content"]["execution_state"] for m in published if m["msg_type"] == "status"]
                self.assertEqual(states, ["busy", "idle"])
                if kind.endswith("_request"):
                    self.assertEqual(reply["msg_type"], kind.replace("_request", "_reply"))
                if kind == "comm_open":
                    self.assertIn("comm_close", [m["msg_type"] for m in published])

    def test_kernel_info_is_complete(self):
        reply, _ = self.ask("kernel_info_request", {})
        info = reply["content"]
        self.assertRegex(info["protocol_version"], r"^5\.[34]$")
        self.assertRegex(info["language_info"]["version"], r"^1\.\d+\.\d+")
        self.assertEqual(info["language_info"]["mimetype"], "text/rust")
        self.assertIn("scorebook", info["banner"])
        self.assertTrue(all(link["url"].startswith("https://") for link in info["help_links"]))

    def test_silent_and_unstored_cells_do_not_count(self):
        self.flush_channels()
        before = self.execute_helper("1")[0]["content"]["execution_count"]
        reply, published = self.collect(lambda: self.kc.execute('println!("quiet"); 7', silent=True))
        self.assertEqual(reply["content"]["status"], "ok")
        self.assertEqual([m["msg_type"] for m in published], ["status", "status"])
        reply, published = self.collect(lambda: self.kc.execute("8", store_history=False))
        self.assertIn("execute_result", [m["msg_type"] for m in published])
        after = self.execute_helper("1")[0]["content"]["execution_count"]
        self.assertEqual(after, before + 1)

    def test_user_expressions_are_evaluated_after_the_cell(self):
        wanted = {"sum": "asked + 1", "tensor": "Tensor::zeros(2, DType::F32, &Device::Cpu)?", "wrong": "no_such_name"}
        reply, published = self.collect(lambda: self.kc.execute("let asked = 2;", user_expressions=wanted))
        values = reply["content"]["user_expressions"]
        self.assertEqual(values["sum"]["data"]["text/plain"], "3")
        self.assertIn("text/html", values["tensor"]["data"])
        self.assertEqual((values["wrong"]["status"], values["wrong"]["ename"]), ("error", "CompileError"))
        self.assertNotIn("execute_result", [m["msg_type"] for m in published])

    def test_a_failed_cell_aborts_those_behind_it_unless_told_otherwise(self):
        for stop, expected in [(True, ["error", "aborted"]), (False, ["error", "ok"])]:
            self.flush_channels()
            self.kc.execute('panic!("stop")', stop_on_error=stop)
            self.kc.execute("1")
            replies = [self.kc.get_shell_msg(timeout=60)["content"]["status"] for _ in range(2)]
            self.assertEqual(replies, expected)

    def test_a_question_is_asked_on_the_stdin_channel(self):
        self.flush_channels()
        for code, password in [('notebook::ask("Name? ")?', False), ('notebook::ask_password("Key: ")?', True)]:
            self.kc.execute(code, allow_stdin=True)
            question = self.kc.get_stdin_msg(timeout=60)
            self.assertEqual(question["content"]["password"], password)
            self.kc.input("Ada")
            self.assertEqual(self.kc.get_shell_msg(timeout=60)["content"]["status"], "ok")

    def test_requests_are_answered_while_a_cell_runs(self):
        self.flush_channels()
        cell = self.kc.execute("let tired = 1; std::thread::sleep(std::time::Duration::from_secs(4));")
        time.sleep(2)
        for send in (lambda: self.kc.complete("war"), lambda: self.kc.inspect("warm"), self.kc.kernel_info):
            begun = time.time()
            id = send()
            reply = self.kc.get_shell_msg(timeout=2)
            self.assertEqual(reply["parent_header"]["msg_id"], id)
            self.assertLess(time.time() - begun, 0.3)
        begun = time.time()
        message = self.kc.session.msg("kernel_info_request", {})
        self.kc.control_channel.send(message)
        self.assertEqual(self.kc.get_control_msg(timeout=2)["msg_type"], "kernel_info_reply")
        self.assertEqual(self.kc.get_shell_msg(timeout=60)["parent_header"]["msg_id"], cell)
        # Nothing of it is left to the next test.
        time.sleep(0.5)


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    # A subtest that fails is listed beside its test.
    wrong = {str(getattr(test, "test_case", test)) for test, _ in result.failures + result.errors + result.skipped}
    print(f"tally: {result.testsRun - len(wrong)} passed, {len(wrong)} failed")
    sys.exit(bool(wrong))
