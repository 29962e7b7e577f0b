//! The command line, by runs of the program itself.
//!
//! Tests that need minutes or the network are ignored by default; run them with `--include-ignored`.

mod cache;
mod doctor;
mod eval;
mod install;
mod lab;
mod run;
mod sample;
mod train;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("scorebook-command-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder.canonicalize().unwrap())
    }

    fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// Writes a file in it.
    fn write(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Writes a program in it: a shell script.
    fn program(&self, path: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A folder with links to those of these programs that the machine has, for a PATH without any
    /// others.
    fn with_programs(&self, programs: &[&str]) -> PathBuf {
        let bin = self.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for program in programs {
            let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
            if let Some(found) = found.find(|path| path.is_file()) {
                std::os::unix::fs::symlink(found, bin.join(program)).unwrap();
            }
        }
        bin
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program, in an environment where nothing of this user's own is touched.
fn scorebook(home: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorebook"));
    command.current_dir(&home.0);
    // rustup finds its toolchain by these where HOME is another.
    let user = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for (variable, folder) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, user.join(folder));
        }
    }
    command.env("HOME", &home.0);
    for variable in [
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "VIRTUAL_ENV",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs it, and gives its exit code, its output and its errors.
fn run<A: AsRef<OsStr>>(
    command: &mut Command,
    arguments: impl IntoIterator<Item = A>,
) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Runs it, and gives its errors. It must fail, and say so without a panic.
fn fails<A: AsRef<OsStr>>(command: &mut Command, arguments: impl IntoIterator<Item = A>) -> String {
    let (code, _, errors) = run(command, arguments);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.lines().any(|line| line.starts_with("error: ")), "{errors}");
    assert!(!errors.contains("panicked at"), "{errors}");
    errors
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
