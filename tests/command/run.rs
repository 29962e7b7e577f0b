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

/// This user's cache.
fn cache() -> PathBuf {
    let user = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(user).unwrap()
}

/// The program with this user's cache, where the notebooks' build is.
fn with_cache(home: &Folder) -> Command {
    let mut command = scorebook(home);
    command.env("XDG_CACHE_HOME", cache());
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

/// A cell that fails unless its kernel is one that was started ahead, and runs in the folder `name`.
fn of_a_standby_in(name: &str) -> String {
    format!(
        r#"let mut process = "self".to_owned();
        let mut above = String::new();
        for _ in 0..3 {{
            let status = std::fs::read_to_string(format!("/proc/{{process}}/stat"))?;
            process = status.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
            above += &std::fs::read_to_string(format!("/proc/{{process}}/cmdline"))?.replace('\0', " ");
        }}
        assert!(above.contains("standby"), "{{above}}");
        assert!(std::env::current_dir()?.ends_with({name:?}));"#
    )
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs the notebooks' build, which takes minutes once"]
fn the_next_notebook_has_a_kernel_that_was_started_ahead() {
    let home = Folder::new("ahead");
    // Until the next one's kernel waits, however busy the machine is.
    let wait = r#"let kernels = std::env::var("XDG_CACHE_HOME")? + "/scorebook/kernels";
        let keeper = std::env::var("SCOREBOOK_KEEPER")?;
        let waits = |folder: std::fs::DirEntry| {
            let key = std::fs::read_to_string(folder.path().join("standby.key"));
            key.is_ok_and(|key| key.lines().nth(1) == Some(&keeper))
        };
        for _ in 0..600 {
            if std::fs::read_dir(&kernels)?.flatten().any(waits) { break; }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }"#;
    home.write("first/a.ipynb", &notebook(&[&format!("{{ {wait} }}")]));
    home.write("second/b.ipynb", &notebook(&[&of_a_standby_in("second")]));
    let arguments = ["run", "first/a.ipynb", "second/b.ipynb"];
    let (code, _, errors) = run(&mut with_cache(&home), arguments);
    assert_eq!(code, Some(0), "{errors}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs the notebooks' build, which takes minutes once"]
fn a_kernel_behind_a_door_ends_when_the_door_is_killed() {
    let home = Folder::new("door");
    let ports: Vec<_> =
        (0..5).map(|_| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    let names = ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"];
    let mut connection = json!({
        "ip": "127.0.0.1", "transport": "tcp", "key": "k", "signature_scheme": "hmac-sha256",
    });
    for (name, listener) in names.iter().zip(&ports) {
        connection[name] = json!(listener.local_addr().unwrap().port());
    }
    let control = ports[3].local_addr().unwrap();
    drop(ports);
    let file = home.write("connection.json", &connection.to_string());

    let keeper = std::process::id().to_string();
    let mut standby = with_cache(&home).args(["standby", "--keeper", &keeper]).spawn().unwrap();
    let kernels = cache().join("scorebook/kernels");
    let waits = |folder: std::fs::DirEntry| {
        let key = std::fs::read_to_string(folder.path().join("standby.key"));
        key.is_ok_and(|key| key.lines().nth(1) == Some(&keeper))
    };
    let patience = Instant::now() + Duration::from_secs(60);
    while !std::fs::read_dir(&kernels).is_ok_and(|mut folders| folders.any(|f| waits(f.unwrap()))) {
        assert!(Instant::now() < patience, "no kernel waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut door = with_cache(&home).arg("kernel").arg("-f").arg(&file).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(control).is_err() {
        assert!(Instant::now() < patience, "no kernel listens");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(standby.try_wait().unwrap().is_none());
    door.kill().unwrap();
    door.wait().unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    while standby.try_wait().unwrap().is_none() {
        assert!(Instant::now() < patience, "the kernel has outlived its door");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(std::net::TcpStream::connect(control).is_err(), "the ports are still taken");
}
