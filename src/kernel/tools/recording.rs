//! How cargo calls the compiler for a cell.
//!
//! Between one cell and the next only the text of the cell's crate changes, so cargo would find out anew, in a quarter
//! of a second, that nothing else has to be compiled, and then call the compiler as it did before.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::answer::Note;
use super::place::Place;
use super::{causes, environment};

/// The crate of the cells.
const CELLS: &str = "ctx";
/// Tells the recorder where to write.
const FILE_VARIABLE: &str = "SCOREBOOK_RECORDING";
/// Where `evcxr` looks for the path of the compiled cell.
const COMPILED_VARIABLE: &str = "EVCXR_EXECUTION_SO_PATH";

/// A call of the compiler.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recording {
    program: String,
    arguments: Vec<String>,
    /// What cargo tells a crate about itself.
    environment: Vec<(String, String)>,
}

/// Has the real cargo build, and notes how it called the compiler for the cell.
pub(super) fn build(place: &Place, note: &Note, arguments: &[OsString]) -> anyhow::Result<i32> {
    let mut cargo = environment::real(environment::real_cargo()?)?;
    cargo.args(arguments);
    let file = place.folder.join("recording");
    if std::env::var_os("RUSTC_WRAPPER").is_none() {
        let _ = std::fs::remove_file(&file);
        cargo
            .env("RUSTC_WRAPPER", super::programs(&place.folder).join(super::RECORDER))
            .env(FILE_VARIABLE, &file)
            .env(environment::FOLDER, &place.folder);
    }
    let code = causes::compile(&mut cargo)?;
    let recorded = std::fs::read(&file).ok();
    if let Some(recording) =
        recorded.and_then(|text| serde_json::from_slice::<Recording>(&text).ok())
    {
        note.write(&recording);
    }
    Ok(code)
}

/// In the place of the compiler, whose path is the first argument: records the call if it is the cell's, and becomes
/// the compiler.
pub(super) fn record(arguments: &[OsString]) -> anyhow::Result<i32> {
    let (program, arguments) = arguments.split_first().context("no compiler is named")?;
    let spoken: Option<Vec<String>> =
        arguments.iter().map(|argument| argument.to_str().map(str::to_owned)).collect();
    if let (Some(file), Some(spoken), Some(named)) =
        (std::env::var_os(FILE_VARIABLE), spoken, program.to_str())
        && follows(&spoken, "--crate-name") == Some(CELLS)
    {
        let of_crate = |name: &str| {
            let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
                || ["CARGO", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"].contains(&name)
        };
        let environment = std::env::vars().filter(|(name, _)| of_crate(name)).collect();
        let recording = Recording { program: named.to_owned(), arguments: spoken, environment };
        std::fs::write(&file, serde_json::to_vec(&recording)?)
            .with_context(|| format!("cannot write {}", Path::new(&file).display()))?;
    }
    let mut compiler = Command::new(program);
    compiler.args(arguments).env_remove(environment::FOLDER).env_remove(FILE_VARIABLE);
    Err(compiler.exec()).context("cannot run the compiler")
}

impl Recording {
    /// Calls the compiler again.
    pub(super) fn replay(&self) -> anyhow::Result<i32> {
        if let (Some(file), Some(compiled)) = (std::env::var_os(COMPILED_VARIABLE), self.compiled())
        {
            // Read only after a success.
            std::fs::write(&file, compiled.to_string_lossy().as_bytes())?;
        }
        let mut compiler = environment::real(&self.program)?;
        compiler
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        causes::compile(&mut compiler)
    }

    /// The library that the compiler makes of the cell.
    fn compiled(&self) -> Option<PathBuf> {
        let folder = follows(&self.arguments, "--out-dir")?;
        Some(Path::new(folder).join(format!("{DLL_PREFIX}{CELLS}{DLL_SUFFIX}")))
    }
}

/// The argument behind the one called `name`.
fn follows<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}
