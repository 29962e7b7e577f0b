//! The kernel as its clients see it: a real one, through its real sockets.
//!
//! All tests share one kernel, for each start costs many seconds; a test that ends the process of the
//! cells makes no assumption about variables of others.

#![cfg(all(unix, feature = "kernel"))]

#[path = "kernel/session.rs"]
mod session;
#[path = "kernel/stranger.rs"]
mod stranger;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use jupyter_protocol::{
    CompleteRequest, ExecuteRequest, ExpressionResult, HistoryRequest, InspectRequest,
    IsCompleteReplyStatus, IsCompleteRequest, JupyterMessageContent, KernelInfoRequest,
    ReplyStatus, UnknownMessage,
};
use session::{Cell, Session, plain, session};
use stranger::Stranger;

/// The places of the outputs of one kind in the cell's outputs, with their times.
fn shown(cell: &Cell, kind: &str) -> Vec<(Duration, JupyterMessageContent)> {
    cell.outputs.iter().filter(|(_, content)| content.message_type() == kind).cloned().collect()
}

fn succeed(cell: Cell) -> Cell {
    assert_eq!(cell.reply.status, ReplyStatus::Ok, "{:?}", cell.reply.error);
    cell
}

#[test]
fn says_who_it_is() {
    let mut kernel = session();
    let JupyterMessageContent::KernelInfoReply(info) = kernel.ask(KernelInfoRequest {}) else {
        panic!("not a kernel_info_reply")
    };
    assert_eq!((info.protocol_version.as_str(), info.language_info.name.as_str()), ("5.4", "rust"));
    assert_eq!(info.language_info.file_extension.as_deref(), Some(".rs"));
}

#[test]
fn counts_from_one_and_not_the_silent_ones() {
    let mut kernel = session();
    assert_eq!(kernel.first.reply.execution_count.0, 1);
    assert_eq!(kernel.first.value().as_deref(), Some("5"));
    let before = kernel.run("1").reply.execution_count.0;
    let silent = ExecuteRequest {
        silent: true,
        store_history: false,
        ..ExecuteRequest::new("println!(\"quiet\"); 7".into())
    };
    let silent = succeed(kernel.request(silent, Duration::from_secs(300), |_| None));
    assert!(silent.outputs.is_empty(), "{:?}", silent.outputs);
    assert_eq!(kernel.run("2").reply.execution_count.0, before + 1);
}

#[test]
fn the_library_and_candle_are_there_without_a_dep() {
    let mut kernel = session();
    succeed(kernel.run(
        "let x = Tensor::arange(0f32, 6f32, &Device::Cpu)?.reshape((2, 3))?;\n\
         let error = scorebook::Error::argument(\"n\", 0, \"more\");",
    ));
    let sum = succeed(kernel.run("x.sum_all()?.to_scalar::<f32>()?"));
    assert_eq!(sum.value().as_deref(), Some("15.0"));
    let text = succeed(kernel.run("println!(\"{error} {:?}\", DType::F32)"));
    assert_eq!(text.printed(false), "`n` is 0; expected more F32\n");
}

#[test]
fn two_figures_arrive_in_order_each_before_the_cell_ends() {
    let mut kernel = session();
    let cell = succeed(kernel.run(
        "use scorebook::notebook::{Bundle, show};\n\
         println!(\"one\"); show(&Bundle::svg(\"<svg>1</svg>\"));\n\
         std::thread::sleep(std::time::Duration::from_millis(600));\n\
         println!(\"two\"); show(&Bundle::svg(\"<svg>2</svg>\"));\n\
         std::thread::sleep(std::time::Duration::from_millis(600));\n\
         Bundle::text(\"value\")",
    ));
    let kinds: Vec<&str> = cell.outputs.iter().map(|(_, content)| content.message_type()).collect();
    let expected =
        ["execute_input", "stream", "display_data", "stream", "display_data", "execute_result"];
    assert_eq!(kinds, expected);
    let figures = shown(&cell, "display_data");
    let apart = figures[1].0 - figures[0].0;
    assert!(apart > Duration::from_millis(400), "the first waited for the second: {apart:?}");
    let before_end = cell.took - figures[1].0;
    assert!(
        before_end > Duration::from_millis(400),
        "the second waited for the end: {before_end:?}"
    );
}

#[test]
fn content_blocks_of_other_crates_are_shown() {
    let mut kernel = session();
    let cell = succeed(kernel.run(
        "struct Table; impl Table { fn evcxr_display(&self) {\n\
         println!(\"EVCXR_BEGIN_CONTENT text/html\\n<b>t</b>\\nEVCXR_END_CONTENT\");\n\
         println!(\"EVCXR_BEGIN_CONTENT text/plain\\nt\\nEVCXR_END_CONTENT\"); } }\n\
         Table",
    ));
    let results = shown(&cell, "execute_result");
    let [(_, JupyterMessageContent::ExecuteResult(result))] = &results[..] else {
        panic!("one result: {:?}", cell.outputs)
    };
    assert_eq!(result.data.content.len(), 2);
}

#[test]
fn a_panic_is_an_error_and_the_cells_behind_it_are_not_run() {
    let mut kernel = session();
    succeed(kernel.run("let kept = 41;"));
    let cell = kernel
        .run("let numbers = vec![1, 2];\nlet n = kept as usize;\nprintln!(\"{}\", numbers[n]);");
    assert_eq!(cell.error(), "Panic");
    let explanation = cell.explanation();
    assert!(explanation.contains("index out of bounds"), "{explanation}");
    assert!(explanation.contains("line 3 of the cell"), "{explanation}");
    assert_eq!(shown(&cell, "error").len(), 1);
    assert_eq!(succeed(kernel.run("kept + 1")).value().as_deref(), Some("42"));

    let replies = kernel.run_together(&["panic!(\"stop\")", "1 + 1"]);
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status.clone()).collect();
    assert_eq!(statuses, [ReplyStatus::Error, ReplyStatus::Aborted]);
}

#[test]
fn a_question_mark_on_an_error_is_an_error() {
    let mut kernel = session();
    let cell = kernel.run(
        "println!(\"before\");\n\
         Err::<(), _>(scorebook::Error::argument(\"steps\", 0, \"at least 1\"))?;\n\
         println!(\"after\");",
    );
    assert_eq!(cell.error(), "Error");
    assert!(
        cell.explanation().contains("`steps` is 0; expected at least 1"),
        "{}",
        cell.explanation()
    );
    assert_eq!(cell.printed(false), "before\n");
    assert_eq!(cell.printed(true), "", "the error's text is shown once, as the error");
}

#[test]
fn a_compile_error_is_shown_on_the_readers_line() {
    let mut kernel = session();
    let cell = kernel.run("let a = 1;\nlet b: u32 = \"é\" ;");
    assert_eq!(cell.error(), "CompileError");
    let explanation = cell.explanation();
    assert!(explanation.contains("E0308"), "{explanation}");
    assert!(explanation.contains("let b: u32 = \"é\" ;"), "{explanation}");
}

#[test]
fn an_interrupt_stops_the_loop_and_keeps_the_variables() {
    let mut kernel = session();
    let (cell, took) = kernel.interrupt(
        "let mut steps = 0u64;\n\
         while !scorebook::interrupt::requested() {\n\
             steps += 1;\n\
             if steps == 10 { println!(\"running\"); }\n\
             std::thread::sleep(std::time::Duration::from_millis(1));\n\
         }",
        "running",
    );
    assert_eq!(cell.error(), "Interrupted", "{:?}", cell.reply.error);
    assert!(took < Duration::from_secs(2), "stopped only after {took:?}");
    // The request is not left to the next cell, and the variable is there.
    let next = succeed(kernel.run("(steps >= 10, scorebook::interrupt::requested())"));
    assert_eq!(next.value().as_deref(), Some("(true, false)"));
}

#[test]
fn an_interrupt_of_training_keeps_the_model_that_the_cell_made() {
    let mut kernel = session();
    let (cell, took) = kernel.interrupt(
        "let mut generator = Generator::new(1);\n\
         let law = Mixture::ring(6, 1.2, 0.2)?;\n\
         let process = VariancePreserving::default();\n\
         let network = Mlp::new(MlpSettings::default(), process.into(), &mut generator, &Device::Cpu)?;\n\
         let mut training = Training::new(&network, TrainingSettings::default())?;\n\
         let report = training.run(&law, 10_000_000, |step| {\n\
             if step.step == 5 { println!(\"training\"); }\n\
         })?;",
        "training",
    );
    assert_eq!(cell.error(), "Interrupted", "{:?}", cell.reply.error);
    assert!(took < Duration::from_secs(2), "stopped only after {took:?}");
    let cell = succeed(kernel.run(
        "let x = Tensor::zeros((3, 2), DType::F32, &Device::Cpu)?;\n\
         let t = Tensor::full(0.5f32, 3, &Device::Cpu)?;\n\
         let score = training.average().score(&x, &t)?;\n\
         assert!(report.interrupted && report.losses.len() >= 5);\n\
         println!(\"{:?}\", score.dims());",
    ));
    assert_eq!(cell.printed(false), "[3, 2]\n");
}

#[test]
fn a_cell_that_does_not_stop_is_ended_and_the_next_one_works() {
    let mut kernel = session();
    succeed(kernel.run("let lost = 1; fn kept() -> u32 { 7 }"));
    let (cell, took) = kernel.interrupt(
        "println!(\"running\"); loop { std::thread::sleep(std::time::Duration::from_millis(10)); }",
        "running",
    );
    assert_eq!(cell.error(), "Interrupted");
    assert!(cell.explanation().contains("lost"), "{}", cell.explanation());
    assert!((Duration::from_secs(4)..Duration::from_secs(20)).contains(&took), "{took:?}");
    assert_eq!(succeed(kernel.run("kept()")).value().as_deref(), Some("7"));
    // The new process is attached like the first: text without a newline is shown.
    assert_eq!(succeed(kernel.run("print!(\"tail\")")).printed(false), "tail");
}

#[test]
fn the_end_of_the_process_is_reported_with_its_cause() {
    let mut kernel = session();
    let cell = kernel.run("print!(\"last words\"); std::process::exit(3)");
    assert_eq!(cell.error(), "ProcessEnded");
    assert!(cell.explanation().contains("exit code 3"), "{}", cell.explanation());
    for (code, cause) in [
        ("std::process::abort()", "aborted"),
        (
            "#[allow(unconditional_recursion)] fn deep(n: u64) -> u64 { std::hint::black_box(deep(n + 1)) + 1 }\n\
             deep(0)",
            "the stack overflowed",
        ),
        ("unsafe { *(std::hint::black_box(8) as *const u8) }", "SIGSEGV"),
        ("vec![1u8; std::hint::black_box(1 << 46)].len()", "ran out of memory"),
    ] {
        let cell = kernel.run(code);
        assert_eq!(cell.error(), "ProcessEnded", "{:?}", cell.reply.error);
        assert!(cell.explanation().contains(cause), "{}", cell.explanation());
    }
    assert_eq!(succeed(kernel.run("1 + 1")).value().as_deref(), Some("2"));
}

#[test]
fn forged_and_broken_messages_are_ignored() {
    let mut kernel = session();
    let before = kernel.run("1").reply.execution_count.0;
    kernel.send_forged("println!(\"forged\")");
    let mut garbage =
        TcpStream::connect(("127.0.0.1", kernel.connection.shell_port)).expect("a connection");
    garbage.write_all(&[0xff; 300]).expect("it is sent");
    drop(garbage);
    let next = succeed(kernel.run("2"));
    assert_eq!(next.reply.execution_count.0, before + 1, "the forged cell was run");
}

#[test]
fn text_without_a_newline_is_shown_while_the_cell_runs() {
    let mut kernel = session();
    let cell = succeed(kernel.run(
        "print!(\"half\"); std::thread::sleep(std::time::Duration::from_millis(900)); println!(\" whole\"); print!(\"tail\");",
    ));
    assert_eq!(cell.printed(false), "half whole\ntail");
    let first = shown(&cell, "stream")[0].0;
    assert!(cell.took - first > Duration::from_millis(500), "shown at the end only");
}

#[test]
fn bytes_that_are_not_text_are_replaced() {
    let mut kernel = session();
    let cell = succeed(
        kernel
            .run("use std::io::Write; std::io::stdout().write_all(b\"a\\xff\\xfeb\\n\").unwrap();"),
    );
    assert_eq!(cell.printed(false), "a\u{fffd}\u{fffd}b\n");
    assert_eq!(succeed(kernel.run("println!(\"in step\")")).printed(false), "in step\n");
}

#[test]
fn a_progress_bar_is_updated_in_place() {
    let mut kernel = session();
    let cell = succeed(kernel.run(
        "let progress = scorebook::progress::Progress::new(\"training\", 50);\n\
         for step in 1..=50 { progress.set(step, format!(\"loss {step}\")); std::thread::sleep(std::time::Duration::from_millis(20)); }\n\
         progress.finish();",
    ));
    let first = shown(&cell, "display_data");
    let updates = shown(&cell, "update_display_data");
    assert_eq!(first.len(), 1, "{:?}", cell.outputs);
    // One second of work at ten updates a second at most.
    assert!((3..=14).contains(&updates.len()), "{} updates", updates.len());
    let JupyterMessageContent::DisplayData(display) = &first[0].1 else { unreachable!() };
    let id = display.transient.as_ref().and_then(|transient| transient.display_id.clone());
    assert!(id.is_some());
    for (_, content) in &updates {
        let JupyterMessageContent::UpdateDisplayData(update) = content else { unreachable!() };
        assert_eq!(update.transient.display_id, id);
    }
    let JupyterMessageContent::UpdateDisplayData(last) = &updates[updates.len() - 1].1 else {
        unreachable!()
    };
    let text = plain(&last.data.content).expect("a plain text");
    assert!(text.contains("100 %") && text.contains("loss 50"), "{text}");
}

#[test]
fn a_display_is_replaced_from_a_later_cell() {
    let mut kernel = session();
    succeed(kernel.run("let handle = scorebook::notebook::Handle::new(\"first\");"));
    let cell =
        succeed(kernel.run("handle.update(\"second\"); scorebook::notebook::clear_output(true);"));
    assert_eq!(shown(&cell, "update_display_data").len(), 1);
    assert_eq!(shown(&cell, "clear_output").len(), 1);
}

#[test]
fn completes_names_and_tells_whether_an_input_is_complete() {
    let mut kernel = session();
    succeed(kernel.run("let remarkable = 1;"));
    // The cursor counts characters, and one of them takes two bytes.
    let code = "let é = remark";
    let request = CompleteRequest { code: code.into(), cursor_pos: code.chars().count() };
    let JupyterMessageContent::CompleteReply(found) = kernel.ask(request) else {
        panic!("not a complete_reply")
    };
    assert!(found.matches.contains(&"remarkable".into()), "{:?}", found.matches);
    assert_eq!((found.cursor_start, found.cursor_end), (8, 14));

    let JupyterMessageContent::IsCompleteReply(reply) =
        kernel.ask(IsCompleteRequest { code: "fn f() {".into() })
    else {
        panic!("not an is_complete_reply")
    };
    assert_eq!(reply.status, IsCompleteReplyStatus::Incomplete);
}

#[test]
fn requests_are_answered_while_a_cell_runs() {
    let mut kernel = session();
    succeed(kernel.run("let restless = 1;"));
    let completion = CompleteRequest { code: "restl".into(), cursor_pos: 5 };
    let inspection =
        InspectRequest { code: "restless".into(), cursor_pos: 8, ..InspectRequest::default() };
    let (replies, cell) = kernel.ask_while(
        "println!(\"running\"); std::thread::sleep(std::time::Duration::from_secs(2));",
        vec![completion.into(), inspection.into(), KernelInfoRequest {}.into()],
    );
    assert_eq!(cell.reply.status, ReplyStatus::Ok);
    let [completed, inspected, _] = &replies[..] else { panic!("three replies: {replies:?}") };
    assert!(replies.iter().all(|(took, _)| *took < Duration::from_millis(500)), "{replies:?}");
    let JupyterMessageContent::CompleteReply(found) = &completed.1 else { panic!("{completed:?}") };
    assert_eq!(found.matches, ["restless"]);
    let JupyterMessageContent::InspectReply(found) = &inspected.1 else { panic!("{inspected:?}") };
    let text = plain(&found.data.content).expect("a text");
    assert!(text.starts_with("let restless: i32") && text.contains("busy"), "{text}");
}

#[test]
fn expressions_of_the_client_are_evaluated_after_the_cell() {
    let mut kernel = session();
    let wanted = [("sum", "beside + 1"), ("wrong", "no_such_name"), ("panics", "panic!(\"no\")")];
    let wanted = wanted.map(|(name, code)| (name.to_owned(), code.to_owned()));
    let request = ExecuteRequest {
        user_expressions: Some(wanted.into()),
        ..ExecuteRequest::new("let beside = 2;".into())
    };
    let cell = succeed(kernel.request(request, Duration::from_secs(300), |_| None));
    assert!(shown(&cell, "execute_result").is_empty(), "{:?}", cell.outputs);
    let values = cell.reply.user_expressions.expect("the values");
    let ExpressionResult::Ok { data, .. } = &values["sum"] else { panic!("{values:?}") };
    assert_eq!(plain(&data.content).as_deref(), Some("3"));
    for (name, kind) in [("wrong", "CompileError"), ("panics", "Panic")] {
        let ExpressionResult::Error { ename, .. } = &values[name] else { panic!("{values:?}") };
        assert_eq!(ename, kind);
    }
}

#[test]
fn values_are_shown_by_the_best_that_they_have() {
    let mut kernel = session();
    let formats = |cell: &Cell| -> Vec<String> {
        let results = shown(cell, "execute_result");
        let [(_, JupyterMessageContent::ExecuteResult(result))] = &results[..] else {
            panic!("one result: {:?}", cell.outputs)
        };
        result.data.content.iter().map(|format| format.mime_type().to_owned()).collect()
    };
    // A variable of the same cell is moved into the expression.
    let moved = succeed(kernel.run(
        "let paths = vec![Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?];\n\
         Tensor::stack(&std::convert::identity(paths), 0)?",
    ));
    assert!(moved.value().unwrap().starts_with("Tensor [1, 2, 3] f32 on cpu"), "{moved:?}");
    assert!(formats(&moved).contains(&"text/html".to_owned()));
    let images = succeed(kernel.run("Tensor::zeros((4, 3, 16, 16), DType::U8, &Device::Cpu)?"));
    assert!(formats(&images).contains(&"image/png".to_owned()));
    assert_eq!(succeed(kernel.run("vec![Some(1.5)]")).value().as_deref(), Some("[Some(1.5)]"));
    let nothing = kernel.run("struct Opaque;\nOpaque");
    assert!(
        nothing.explanation().contains("`Opaque` cannot be shown"),
        "{}",
        nothing.explanation()
    );
}

#[test]
fn questions_are_put_to_the_reader() {
    let mut kernel = session();
    let answered = kernel.answer("notebook::ask(\"At 12:30? \")?", "yes \"é\"");
    assert_eq!(answered.0, ("At 12:30? ".to_owned(), false));
    assert_eq!(answered.1.value().as_deref(), Some("yes \"é\""));
    let secret = kernel.answer("notebook::ask_password(\"Key: \")?.len()", "1234");
    assert_eq!((secret.0.1, secret.1.value().as_deref()), (true, Some("4")));
    // Whoever reads without asking is asked.
    if cfg!(target_os = "linux") {
        let read =
            "let mut line = String::new(); std::io::stdin().read_line(&mut line)?; line.len()";
        assert_eq!(kernel.answer(read, "typed").1.value().as_deref(), Some("6"));
        let refused = succeed(kernel.run(read));
        assert_eq!(refused.value().as_deref(), Some("0"));
        assert!(
            refused.printed(true).contains("does not allow input"),
            "{}",
            refused.printed(true)
        );
    }
    let refused = kernel.run("notebook::ask(\"Name? \")?");
    assert!(refused.explanation().contains("does not allow input"), "{}", refused.explanation());
}

#[test]
fn a_hundred_thousand_lines_are_few_messages() {
    let mut kernel = session();
    let cell = succeed(kernel.run("for i in 0..100_000 { println!(\"line {i}\"); }"));
    let printed = cell.printed(false);
    assert_eq!(printed.lines().count(), 100_000);
    assert!(printed.ends_with("line 99999\n"));
    let messages = shown(&cell, "stream").len();
    assert!(messages < 1000, "{messages} messages");
    let cell = succeed(kernel.run("for i in 0..100_000 { print!(\"\\r{i:06}\"); }"));
    assert!(cell.printed(false).len() < 10_000, "what is covered is sent");
    assert!(cell.printed(false).ends_with("\r099999"));
}

#[test]
fn errors_have_their_causes_and_names_their_imports() {
    let mut kernel = session();
    let cell = kernel.run(
        "#[derive(Debug)] struct Outer(std::num::ParseIntError);\n\
         impl std::fmt::Display for Outer { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(\"no settings\") } }\n\
         impl std::error::Error for Outer { fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(&self.0) } }\n\
         Err::<(), _>(Outer(\"x\".parse::<i32>().unwrap_err()))?;",
    );
    let explanation = cell.explanation();
    assert!(explanation.contains("no settings\n  caused by: invalid digit"), "{explanation}");
    // An error that is none of the standard library's kind, and one that borrows, end a cell too.
    assert_eq!(
        kernel.run("let lock = std::sync::Mutex::new(1);\n*lock.lock()? + 1").value().as_deref(),
        Some("2")
    );
    let missing = kernel.run("denoising_loss();");
    assert!(
        missing.explanation().contains("use scorebook::train::denoising_loss;"),
        "{}",
        missing.explanation()
    );
    let unfinished = kernel.run("let a = 1;\na +");
    assert!(unfinished.explanation().contains("a +"), "{}", unfinished.explanation());
}

#[test]
fn state_can_be_cleared_and_the_process_restarted() {
    let mut kernel = session();
    succeed(kernel.run("let gone = 1;"));
    let cleared =
        succeed(kernel.run(":clear\nTensor::zeros(1, DType::F32, &Device::Cpu)?.dims1()?"));
    assert_eq!(cleared.value().as_deref(), Some("1"));
    assert_eq!(kernel.run("gone").error(), "CompileError");
    succeed(kernel.run("let gone = 2; fn kept() -> u32 { 3 }"));
    assert_eq!(succeed(kernel.run(":restart\nkept()")).value().as_deref(), Some("3"));
    assert_eq!(kernel.run("gone").error(), "CompileError");
    assert!(succeed(kernel.run(":help")).value().unwrap().contains(":quit"));
}

#[test]
fn a_length_that_nobody_can_reserve_closes_one_connection_only() {
    let mut kernel = session();
    for port in [kernel.connection.shell_port, kernel.connection.iopub_port] {
        let mut stranger = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..16].copy_from_slice(b"NULL");
        let claim = [&greeting[..], &[2], &(1u64 << 60).to_be_bytes()].concat();
        stranger.write_all(&claim).expect("it is sent");
    }
    assert_eq!(succeed(kernel.run("1 + 1")).value().as_deref(), Some("2"));
}

/// Frames, messages and greetings that are broken, at all five sockets of a kernel of its own, which then runs a cell and
/// has not grown. `SCOREBOOK_FUZZ` sets how many.
#[test]
fn nothing_that_a_stranger_sends_ends_the_kernel() {
    let inputs = std::env::var("SCOREBOOK_FUZZ").ok().and_then(|n| n.parse().ok());
    let mut kernel = Session::start_quietly();
    let before = kernel.memory();
    let mut stranger = Stranger::new(&kernel.connection, 11);
    for input in 0..inputs.unwrap_or(3000) {
        stranger.send();
        if input % 1000 == 999 {
            assert_eq!(succeed(kernel.run("1 + 1")).value().as_deref(), Some("2"));
        }
    }
    // The first cell was the session's; none of the stranger's was run, or it would have been counted.
    let last = succeed(kernel.run("1 + 2"));
    assert_eq!(last.value().as_deref(), Some("3"));
    let own = inputs.unwrap_or(3000) / 1000 + 2;
    assert_eq!(last.reply.execution_count.0, own, "a stranger's cell was run");
    let grown = kernel.memory().saturating_sub(before);
    assert!(grown < 256 << 20, "the kernel has grown by {} MB", grown >> 20);
}

#[test]
fn what_cannot_be_understood_is_answered() {
    let mut kernel = session();
    let unknown = UnknownMessage {
        msg_type: "no_such_request".into(),
        content: serde_json::json!({ "a": 1 }),
    };
    let JupyterMessageContent::UnknownMessage(reply) =
        kernel.ask(JupyterMessageContent::UnknownMessage(unknown))
    else {
        panic!("an answer of an unknown type")
    };
    assert_eq!(
        (reply.msg_type.as_str(), reply.content["status"].as_str()),
        ("no_such_reply", Some("error"))
    );
}

#[test]
fn remembers_the_inputs() {
    let mut kernel = session();
    succeed(kernel.run("let memorable = 1;"));
    let tail = HistoryRequest::Tail { n: 1, output: false, raw: true };
    let JupyterMessageContent::HistoryReply(reply) = kernel.ask(tail) else {
        panic!("not a history_reply")
    };
    assert!(format!("{:?}", reply.history).contains("memorable"));
}

#[test]
fn a_missing_connection_file_is_a_clear_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_scorebook"))
        .args(["kernel", "-f", "/nonexistent/kernel.json"])
        .output()
        .expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nonexistent/kernel.json") && !said.contains("panicked"), "{said}");
}
