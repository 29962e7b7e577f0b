//! The Rust tools, found and called as `evcxr` does, so that what one has compiled is fresh to the other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};

use super::super::tools;

/// The compiler and its build tool.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct Toolchain {
    pub(in crate::kernel) rustc: PathBuf,
    pub(in crate::kernel) cargo: PathBuf,
    /// What `rustc -vV` says: the version, the commit, the host.
    pub(super) version: String,
}

impl Toolchain {
    /// The toolchain of the folder in which this process was when it first asked.
    ///
    /// # Errors
    /// No compiler, or one that does not run.
    pub(in crate::kernel) fn find() -> anyhow::Result<&'static Self> {
        static FOUND: OnceLock<Toolchain> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found);
        }
        let found = Self::look()?;
        Ok(FOUND.get_or_init(|| found))
    }

    fn look() -> anyhow::Result<Self> {
        let rustc = tool("rustc")?;
        let output = Command::new(&rustc).arg("-vV").output();
        let output = output.with_context(|| format!("cannot run {}", rustc.display()))?;
        let version = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Self { rustc, cargo: tool("cargo")?, version })
    }

    /// The host's name, for example `x86_64-unknown-linux-gnu`.
    pub(in crate::kernel) fn host(&self) -> anyhow::Result<&str> {
        let host = self.version.lines().find_map(|line| line.strip_prefix("host: "));
        host.with_context(|| format!("`rustc -vV` names no host: {}", self.version))
    }

    /// The compiler's version, for example `1.95.0`.
    pub(in crate::kernel) fn release(&self) -> Option<&str> {
        self.version.lines().find_map(|line| line.strip_prefix("release: "))
    }

    /// The folder of the standard library's dynamic library.
    fn library_folder(&self) -> anyhow::Result<PathBuf> {
        let output = Command::new(&self.rustc).args(["--print", "target-libdir"]).output()?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// `cargo`, in the environment that `evcxr` gives it.
    pub(in crate::kernel) fn cargo(&self) -> Command {
        let mut command = match linker() {
            Some("mold") => {
                let mut mold = Command::new("mold");
                mold.arg("-run").arg(&self.cargo);
                mold
            }
            _ => Command::new(&self.cargo),
        };
        tools::restore(&mut command);
        command
            .env("CARGO_TARGET_DIR", "target")
            .env("CARGO_BUILD_BUILD_DIR", "target")
            .env("CARGO_TERM_COLOR", "never")
            .env("RUSTC", &self.rustc)
            .env("RUSTFLAGS", self.flags());
        command
    }

    /// The compiler's flags: part of what makes a dependency fresh.
    pub(super) fn flags(&self) -> &'static str {
        match linker() {
            Some("lld") => "-Cprefer-dynamic -Clink-arg=-fuse-ld=lld",
            _ => "-Cprefer-dynamic",
        }
    }
}

/// The variable by which the system finds dynamic libraries, and its value for cells in `cells`.
///
/// evcxr relies on the relative paths in a compiled cell, but it runs the copy one folder above the one
/// for which they were written.
///
/// # Errors
/// No compiler.
pub(in crate::kernel) fn library_path(cells: &Path) -> anyhow::Result<(&'static str, OsString)> {
    let name = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let toolchain = Toolchain::find()?;
    let dependencies = cells.join("target").join(toolchain.host()?).join("debug/deps");
    let before = std::env::var_os(name).unwrap_or_default();
    let folders = [dependencies, toolchain.library_folder()?];
    let folders = folders.into_iter().chain(std::env::split_paths(&before));
    Ok((name, std::env::join_paths(folders)?))
}

/// The fast linker that is installed; the same preference as `evcxr`'s.
fn linker() -> Option<&'static str> {
    let installed = |name: &&str| search_path().any(|folder| folder.join(name).is_file());
    ["mold", "lld"].into_iter().find(installed).filter(|_| !cfg!(target_os = "macos"))
}

/// The tool behind rustup's proxy, or the one on the path.
fn tool(name: &str) -> anyhow::Result<PathBuf> {
    if let Ok(output) = Command::new("rustup").args(["which", name]).output()
        && output.status.success()
    {
        return Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    match search_path().map(|folder| folder.join(name)).find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "`{name}` is not installed. Notebook cells are compiled when they run: install Rust from https://rustup.rs"
        ),
    }
}

/// The folders in which programs are looked for.
fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}
