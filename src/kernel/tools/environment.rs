//! The variables by which the stand-ins are found, and find the real tools.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::super::workshop::{self, Toolchain};

/// The folder of the kernel.
pub(super) const FOLDER: &str = "SCOREBOOK_TOOLS";
/// The real cargo.
const CARGO: &str = "SCOREBOOK_CARGO";
/// What the changed variables were before, as a JSON object.
const BEFORE: &str = "SCOREBOOK_ENVIRONMENT";

/// The kernel's folder, if this process runs below a kernel.
pub(super) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Puts stand-ins before the tools for everything that this process starts.
///
/// # Errors
/// The folder cannot be written.
///
/// # Safety
/// The process has one thread only.
pub(in crate::kernel) unsafe fn install(
    folder: &Path,
    toolchain: &Toolchain,
) -> anyhow::Result<()> {
    let bin = super::programs(folder);
    std::fs::create_dir_all(&bin).with_context(|| format!("cannot create {}", bin.display()))?;
    let program = lasting_program()?;
    for name in ["cargo", "rustup", super::RECORDER] {
        std::os::unix::fs::symlink(&program, bin.join(name))?;
    }
    let before: BTreeMap<&str, Option<String>> = ["PATH", "CARGO_HOME", "RUSTC", "RUST_SRC_PATH"]
        .map(|name| (name, std::env::var(name).ok()))
        .into();
    let before = serde_json::to_string(&before)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))?;
    let changes: [(&str, &OsStr); 7] = [
        (FOLDER, folder.as_ref()),
        (CARGO, toolchain.cargo.as_ref()),
        (BEFORE, before.as_ref()),
        ("PATH", &path),
        ("CARGO_HOME", &folder.join(super::HOME).into_os_string()),
        ("RUSTC", toolchain.rustc.as_ref()),
        ("RUST_SRC_PATH", &workshop::standard::folder(folder).into_os_string()),
    ];
    for (name, value) in changes {
        // SAFETY: this function's own condition.
        unsafe { std::env::set_var(name, value) };
    }
    Ok(())
}

/// A path to this program that stays good while the kernel lives, though its file be replaced.
fn lasting_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

/// Gives `command` the variables as they were before [`install`].
pub(in crate::kernel) fn restore(command: &mut Command) {
    let Ok(before) = std::env::var(BEFORE) else { return };
    let before: BTreeMap<String, Option<String>> =
        serde_json::from_str(&before).unwrap_or_default();
    for (name, value) in before {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for name in [FOLDER, CARGO, BEFORE] {
        command.env_remove(name);
    }
}

/// The compiler that the kernel uses.
pub(super) fn real_rustc() -> anyhow::Result<PathBuf> {
    std::env::var_os("RUSTC").map(PathBuf::from).context("RUSTC is not set")
}

/// The real cargo.
pub(super) fn real_cargo() -> anyhow::Result<PathBuf> {
    std::env::var_os(CARGO).map(PathBuf::from).with_context(|| format!("{CARGO} is not set"))
}

/// `program` with the compiler that was asked for and everything else as it was before [`install`].
pub(super) fn real(program: impl AsRef<OsStr>) -> anyhow::Result<Command> {
    let mut command = Command::new(program);
    restore(&mut command);
    command.env("RUSTC", real_rustc()?);
    Ok(command)
}

/// Becomes the program of this name that would have been run without the stand-ins.
pub(super) fn run_real(name: &str, arguments: &[&str]) -> anyhow::Result<i32> {
    let mut command = Command::new(name);
    restore(&mut command);
    // The program is looked for on the path that the command is given.
    Err(command.args(arguments).exec()).with_context(|| format!("cannot run {name}"))
}
