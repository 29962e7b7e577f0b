//! The run of notebooks, against a kernel that is not ours: `run` speaks Jupyter's protocol, not our
//! kernel's dialect of it.

use super::*;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// One run at a time: an interrupt is a signal to the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// Runs these cells in Jupyter's own kernel, for Python. `SCOREBOOK_TEST_PYTHON` names a Python with
/// ipykernel.
fn run_python(
    cells: &[(&str, &str)],
    limit: Option<Duration>,
    interrupt_after: Option<Duration>,
) -> (Ending, Notebook) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let python = std::env::var("SCOREBOOK_TEST_PYTHON").expect("SCOREBOOK_TEST_PYTHON");
    let cells: Vec<Value> = cells
        .iter()
        .map(|(tag, source)| {
            let metadata = json!({ "tags": [tag] });
            let outputs = json!([{ "output_type": "stream", "name": "stdout", "text": "old" }]);
            json!({ "cell_type": "code", "source": source, "metadata": metadata,
                    "outputs": outputs, "execution_count": 99 })
        })
        .collect();
    let document = json!({ "cells": cells, "metadata": {}, "nbformat": 4 });
    let mut notebook = Notebook::parse(document.to_string().as_bytes()).unwrap();
    notebook.complete();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ending = runtime.block_on(async {
        let mut interruption = Interruption::listen().unwrap();
        let kernel = Kernel::start(|file| {
            let mut command = Command::new(&python);
            command.args(["-m", "ipykernel_launcher", "-f"]).arg(file);
            Ok(command)
        });
        let kernel = kernel.await.unwrap();
        if let Some(delay) = interrupt_after {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                crate::command::process::signal(std::process::id(), libc::SIGINT);
            });
        }
        doctor::require_for_run()?;
        let progress = Progress::new("test.ipynb");
        execution::run(&mut notebook, kernel, limit, &mut interruption, &progress).await
    });
    (ending.unwrap(), notebook)
}

#[test]
#[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
fn outputs_come_back_from_another_kernel() {
    let (ending, notebook) = run_python(
        &[
            ("", "x = 6; print('a', flush=True); print('b')"),
            ("raises-exception", "1/0"),
            ("skip-execution", "x = 0"),
            ("", "from IPython.display import display\nh = display(1, display_id='d')"),
            ("", "h.update(2); x * 7"),
        ],
        None,
        None,
    );
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let outputs: Vec<_> = notebook.cells().iter().map(|cell| &cell["outputs"]).collect();
    let counts: Vec<_> = notebook.cells().iter().map(|cell| &cell["execution_count"]).collect();
    assert_eq!(counts, [&json!(1), &json!(2), &Value::Null, &json!(3), &json!(4)]);
    assert_eq!(
        *outputs[0],
        json!([{ "output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"] }])
    );
    assert_eq!(outputs[1][0]["ename"], "ZeroDivisionError");
    assert_eq!(*outputs[2], json!([]));
    assert_eq!(outputs[3][0]["data"]["text/plain"], json!(["2"]));
    assert_eq!(outputs[4][0]["data"]["text/plain"], json!(["42"]));
    assert_eq!(notebook.language(), Some("rust"));
}

#[test]
#[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
fn a_failing_cell_ends_the_run_and_keeps_what_came_before() {
    let (ending, notebook) =
        run_python(&[("", "print(1)"), ("", "print(2); oops"), ("", "print(3)")], None, None);
    let Ending::Failed(why) = ending else { panic!("{ending:?}") };
    assert!(why.starts_with("cell 2 of 3: it failed") && why.contains("NameError"), "{why}");
    assert_eq!(notebook.cells()[0]["outputs"][0]["text"], json!(["1\n"]));
    assert_eq!(notebook.cells()[1]["outputs"][0]["text"], json!(["2\n"]));
    assert_eq!(notebook.cells()[1]["outputs"][1]["ename"], "NameError");
    assert_eq!(notebook.cells()[2]["outputs"], json!([]));
    assert_eq!(notebook.cells()[2]["execution_count"], Value::Null);
}

#[test]
#[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
fn a_cell_without_end_is_interrupted_in_time() {
    let start = Instant::now();
    let limit = Some(Duration::from_secs(2));
    let forever = "print('on', flush=True)\nimport time\nwhile True: time.sleep(0.1)";
    let (ending, notebook) = run_python(&[("", forever)], limit, None);
    let Ending::Failed(why) = ending else { panic!("{ending:?}") };
    assert!(why.contains("cell 1 of 1: it ran longer than --timeout 2 s"), "{why}");
    let outputs = notebook.cells()[0]["outputs"].as_array().unwrap();
    assert_eq!(outputs[0]["text"], json!(["on\n"]));
    assert_eq!(outputs.last().unwrap()["ename"], "Timeout");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
#[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
fn an_interrupt_and_the_death_of_a_kernel_keep_what_there_is() {
    let wait = "print('on', flush=True)\nimport time\ntime.sleep(600)";
    let (ending, notebook) =
        run_python(&[("", wait), ("", "2")], None, Some(Duration::from_secs(1)));
    assert!(matches!(ending, Ending::Interrupted), "{ending:?}");
    assert_eq!(notebook.cells()[0]["outputs"][0]["text"], json!(["on\n"]));
    assert_eq!(notebook.cells()[1]["outputs"], json!([]));

    let (ending, notebook) =
        run_python(&[("", "1"), ("", "import os\nos._exit(3)"), ("", "2")], None, None);
    let Ending::Failed(why) = ending else { panic!("{ending:?}") };
    assert!(why.contains("cell 2 of 3: the kernel has died (exit status: 3)"), "{why}");
    assert_eq!(notebook.cells()[1]["outputs"][0]["ename"], "DeadKernel");
}
