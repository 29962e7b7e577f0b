//! The sources of the standard library, by which rust-analyzer tells the types of a cell's variables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::tools;
use super::toolchain::Toolchain;

/// The crates whose types a cell can name. The others that the sources hold are internals; the vector instructions
/// alone would cost a second at every start and 180 MB.
const CRATES: [&str; 5] = ["core", "alloc", "std", "proc_macro", "test"];

/// Installs the sources if they are not there and rustup can bring them.
///
/// Without them a cell must write the types of variables like `let v: Vec<f64> = ...` itself, and there is no
/// completion on types of the standard library: a lack, but no reason to give up.
pub(super) fn install(progress: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    let toolchain = Toolchain::find()?;
    if toolchain.standard_library()?.join("core").is_dir() {
        return Ok(());
    }
    progress("installing the sources of the standard library (rustup component add rust-src)");
    let mut rustup = Command::new("rustup");
    tools::restore(&mut rustup);
    let output = rustup.args(["component", "add", "rust-src"]).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {}
        _ => eprintln!(
            "the sources of Rust's standard library are not installed, so cells must spell out types like Vec<f64>; \
             `rustup component add rust-src` installs them"
        ),
    }
    Ok(())
}

/// The folder in the kernel's own in which rust-analyzer finds the sources.
pub(in crate::kernel) fn folder(kernel: &Path) -> PathBuf {
    kernel.join("standard")
}

/// Lays the sources that matter into the kernel's folder.
pub(super) fn link(kernel: &Path) -> anyhow::Result<()> {
    let sources = Toolchain::find()?.standard_library()?;
    let folder = folder(kernel);
    fs::create_dir_all(&folder)?;
    for name in CRATES {
        let source = sources.join(name);
        if source.is_dir() {
            std::os::unix::fs::symlink(source, folder.join(name))?;
        }
    }
    Ok(())
}
