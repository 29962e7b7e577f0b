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
    said: OnceLock<Said>,
}

/// What the compiler says of itself.
#[derive(Clone, Debug)]
struct Said {
    /// The version, the commit, the host.
    version: String,
    /// The folder that it is installed in.
    sysroot: PathBuf,
    /// The folder of the standard library's dynamic library.
    libraries: PathBuf,
}

impl Toolchain {
    /// The toolchain of the folder in which this process was when it first asked.
    ///
    /// # Errors
    /// No compiler.
    pub(in crate::kernel) fn find() -> anyhow::Result<&'static Self> {
        static FOUND: OnceLock<Toolchain> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found);
        }
        let found = Self { rustc: tool("rustc")?, cargo: tool("cargo")?, said: OnceLock::new() };
        Ok(FOUND.get_or_init(|| found))
    }

    fn said(&self) -> anyhow::Result<&Said> {
        if let Some(said) = self.said.get() {
            return Ok(said);
        }
        let ask = |arguments: &[&str]| {
            let output = Command::new(&self.rustc).args(arguments).output();
            let output = output.with_context(|| format!("cannot run {}", self.rustc.display()))?;
            anyhow::Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let folders = ask(&["--print", "sysroot", "--print", "target-libdir"])?;
        let mut folders = folders.lines().map(PathBuf::from);
        let (Some(sysroot), Some(libraries)) = (folders.next(), folders.next()) else {
            bail!("{} does not say where it is installed", self.rustc.display())
        };
        let said = Said { version: ask(&["-vV"])?, sysroot, libraries };
        Ok(self.said.get_or_init(|| said))
    }

    /// What `rustc -vV` says: the version, the commit, the host.
    pub(super) fn version(&self) -> anyhow::Result<&str> {
        Ok(&self.said()?.version)
    }

    /// The host's name, for example `x86_64-unknown-linux-gnu`.
    pub(in crate::kernel) fn host(&self) -> anyhow::Result<&str> {
        let version = self.version()?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        host.with_context(|| format!("`rustc -vV` names no host: {version}"))
    }

    /// The compiler's version, for example `1.95.0`.
    pub(in crate::kernel) fn release(&self) -> Option<&str> {
        self.version().ok()?.lines().find_map(|line| line.strip_prefix("release: "))
    }

    /// The folder in which the sources of the standard library are, where they are installed.
    pub(super) fn standard_library(&self) -> anyhow::Result<PathBuf> {
        Ok(self.said()?.sysroot.join("lib/rustlib/src/rust/library"))
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
    let folders = [dependencies(cells)?, Toolchain::find()?.said()?.libraries.clone()];
    let before = std::env::var_os(name).unwrap_or_default();
    // An empty name would stand for the current folder.
    let before = std::env::split_paths(&before).filter(|folder| !folder.as_os_str().is_empty());
    Ok((name, std::env::join_paths(folders.into_iter().chain(before))?))
}

/// The folder below `cells` in which the compiled dependencies are.
///
/// # Errors
/// No compiler.
pub(super) fn dependencies(cells: &Path) -> anyhow::Result<PathBuf> {
    Ok(cells.join("target").join(Toolchain::find()?.host()?).join("debug/deps"))
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
