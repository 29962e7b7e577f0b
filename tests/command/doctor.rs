//! `scorebook doctor`.

use super::*;

#[test]
fn a_machine_with_nothing_is_told_all_that_it_lacks() {
    let home = Folder::new("doctor");
    let mut command = scorebook(&home);
    let (code, table, errors) = run(command.env("PATH", home.join("nothing")), ["doctor"]);
    assert_eq!(code, Some(1));
    assert_eq!(errors, "");
    for (thing, remedy) in [
        ("rustc", "https://rustup.rs"),
        ("cargo", "https://rustup.rs"),
        ("linker", "build-essential"),
        ("Python", "apt install python3 python3-venv"),
    ] {
        let mut lines = table.lines().skip_while(|line| !line.starts_with(thing));
        assert!(lines.next().unwrap().contains("MISSING"), "{table}");
        assert!(lines.next().unwrap().contains(remedy), "{table}");
    }
    assert!(table.contains("cannot work without: rustc, cargo, linker, Python"), "{table}");
}

#[test]
fn without_a_home_there_is_still_a_table() {
    let home = Folder::new("homeless");
    let mut command = scorebook(&home);
    let (code, table, _) = run(command.env_clear(), ["doctor"]);
    assert_eq!(code, Some(1));
    assert!(table.contains("library"), "{table}");
}

#[test]
fn a_kernelspec_whose_program_is_gone_is_seen() {
    let home = Folder::new("stale");
    let spec = r#"{ "argv": ["/no/such/scorebook", "kernel", "-f", "{connection_file}"] }"#;
    home.write("data/kernels/scorebook/kernel.json", spec);
    let mut command = scorebook(&home);
    let (_, table, _) = run(command.env("JUPYTER_DATA_DIR", home.join("data")), ["doctor"]);
    assert!(table.contains("/no/such/scorebook, which is gone"), "{table}");

    let mut command = scorebook(&home);
    command.env("JUPYTER_DATA_DIR", home.join("data"));
    assert_eq!(run(&mut command, ["install"]).0, Some(0));
    let mut command = scorebook(&home);
    let (_, table, _) = run(command.env("JUPYTER_DATA_DIR", home.join("data")), ["doctor"]);
    assert!(table.contains(env!("CARGO_BIN_EXE_scorebook")), "{table}");
}

#[test]
fn a_toolchain_that_is_too_old_is_missing() {
    let home = Folder::new("old");
    home.program("bin/rustc", "echo 'rustc 1.70.0 (x 2023-05-31)'");
    let mut command = scorebook(&home);
    let (code, table, _) = run(command.env("PATH", home.join("bin")), ["doctor"]);
    assert_eq!(code, Some(1));
    assert!(table.contains("rustc 1.70.0 (x 2023-05-31); 1.95 is needed"), "{table}");
}
