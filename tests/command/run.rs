//! `scorebook run`. The runs in the kernel are ignored by default: the first prepares the notebooks'
//! build, which takes minutes.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A notebook of these code cells.
fn notebook(cells: &[&str]) -> String {
    let cells: Vec<Value> = cells
        .iter()
        .map(|source| json!({ "cell_type": "code", "source": source, "metadata": {} }))
        .collect();
    let metadata = json!({ "kernelspec": { "language": "rust", "name": "scorebook" } });
    json!({ "cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5 }).to_string()
}

#[test]
fn each_bad_notebook_has_its_own_error() {
    let home = Folder::new("bad");
    let python = r#"{"nbformat":4,"metadata":{"language_info":{"name":"python"}},"cells":[]}"#;
    for (name, contents, expected) in [
        ("cut.ipynb", "{\"cells\": [", "it is not JSON (EOF"),
        ("json.ipynb", "{}", "without `nbformat`"),
        ("old.ipynb", r#"{"nbformat":3,"worksheets":[]}"#, "jupyter nbconvert"),
        ("python.ipynb", python, "its language is python, not Rust"),
    ] {
        home.write(name, contents);
        let error = fails(&mut scorebook(&home), ["run", name]);
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
    let error = fails(&mut scorebook(&home), ["run", "missing.ipynb"]);
    assert!(error.contains("missing.ipynb: No such file"), "{error}");
    let error = fails(&mut scorebook(&home), ["run", "."]);
    assert!(error.contains("is a folder"), "{error}");
    // Each is tried, and the summary says how it went.
    let error = fails(&mut scorebook(&home), ["run", "cut.ipynb", "json.ipynb"]);
    assert!(error.contains("failed       cut.ipynb\nfailed       json.ipynb"), "{error}");
}

#[test]
fn what_cannot_be_done_is_said_before_anything_runs() {
    let home = Folder::new("arguments");
    home.write("a.ipynb", &notebook(&["1"]));
    home.write("b/a.ipynb", &notebook(&["1"]));
    home.write("file", "");
    let error = fails(&mut scorebook(&home), ["run", "a.ipynb", "b/a.ipynb", "--output", "out"]);
    assert!(error.contains("two notebooks are called a.ipynb"), "{error}");
    let error = fails(&mut scorebook(&home), ["run", "a.ipynb", "--output", "file"]);
    assert!(error.contains("--output: cannot create file"), "{error}");
    let error = fails(&mut scorebook(&home), ["run", "a.ipynb", "--param", "n=1"]);
    assert!(error.contains("no cell is tagged `parameters`"), "{error}");
    for arguments in [
        &["run"][..],
        &["run", "a.ipynb", "--timeout", "0"],
        &["run", "a.ipynb", "--timeout", "soon"],
        &["run", "a.ipynb", "--param", "n"],
        &["run", "a.ipynb", "--inplace", "--output", "out"],
        &["run", "a.ipynb", "--device", "abacus"],
    ] {
        let (code, _, error) = run(&mut scorebook(&home), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
    }
    let mut command = scorebook(&home);
    let error = fails(command.env("PATH", home.join("nothing")), ["run", "a.ipynb"]);
    assert!(error.contains("cargo: none on the PATH"), "{error}");
}

/// The program with this user's cache, where the notebooks' build is.
fn with_cache(home: &Folder) -> Command {
    let mut command = scorebook(home);
    let user = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(user);
    command.env("XDG_CACHE_HOME", cache.unwrap());
    command
}

#[test]
#[ignore = "needs the notebooks' build, which takes minutes once"]
fn outputs_are_written_and_a_failing_cell_ends_the_run() {
    let home = Folder::new("kernel");
    let cells = ["let x = 6;", "println!(\"a\"); x * 7", "panic!(\"on purpose\")", "1"];
    let before = notebook(&cells);
    home.write("a.ipynb", &before);
    let error = fails(&mut with_cache(&home), ["run", "a.ipynb", "--output", "out"]);
    assert!(error.contains("cell 3 of 4") && error.contains("on purpose"), "{error}");
    assert_eq!(std::fs::read_to_string(home.join("a.ipynb")).unwrap(), before);

    let after = json(&home.join("out/a.ipynb"));
    let outputs: Vec<_> =
        after["cells"].as_array().unwrap().iter().map(|cell| &cell["outputs"]).collect();
    assert_eq!(outputs[1][0]["text"], json!(["a\n"]));
    assert_eq!(outputs[1][1]["data"]["text/plain"], json!(["42"]));
    assert_eq!(outputs[2].as_array().unwrap().last().unwrap()["output_type"], "error");
    assert_eq!(*outputs[3], json!([]));
    assert_eq!(after["cells"][1]["execution_count"], 2);
}

#[test]
#[ignore = "needs the notebooks' build, which takes minutes once"]
fn parameters_reach_the_cells() {
    let home = Folder::new("parameters");
    let cells = ["let n = 1;\nlet name = \"a\";", "assert_eq!((n, name), (5, \"b c\"));"];
    let mut document: Value = serde_json::from_str(&notebook(&cells)).unwrap();
    document["cells"][0]["metadata"] = json!({ "tags": ["parameters"] });
    home.write("a.ipynb", &document.to_string());
    let arguments = ["run", "a.ipynb", "--inplace", "--param", "n=5", "--param", "name=b c"];
    let (code, _, errors) = run(&mut with_cache(&home), arguments);
    assert_eq!(code, Some(0), "{errors}");
    let after = json(&home.join("a.ipynb"));
    assert_eq!(after["cells"][1]["metadata"]["tags"], json!(["injected-parameters"]));
}

#[test]
#[ignore = "needs the notebooks' build, which takes minutes once"]
fn ctrl_c_ends_the_run_and_keeps_what_there_is() {
    let home = Folder::new("ctrl-c");
    let sleep = "std::thread::sleep(std::time::Duration::from_secs(600));";
    home.write("a.ipynb", &notebook(&["println!(\"first\")", sleep]));
    let mut child = with_cache(&home)
        .args(["run", "a.ipynb", "--inplace"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(errors.next().unwrap().unwrap().contains("[ 1/2]"));
    std::thread::sleep(Duration::from_secs(3));
    let start = Instant::now();
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(40));
    let after = json(&home.join("a.ipynb"));
    assert_eq!(after["cells"][0]["outputs"][0]["text"], json!(["first\n"]));
    let stopped = after["cells"][1]["outputs"].as_array().unwrap().last().unwrap();
    assert_eq!(stopped["output_type"], "error");
}
