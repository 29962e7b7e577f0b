//! `scorebook doctor`: what the machine has, what it lacks, and what to do about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use super::device::{self, Device};
use super::kernelspec::Place;
use super::process::answer;
use super::python::{self, Environment};
use super::{assets, workshop};

const RUSTUP: &str = "Install Rust from https://rustup.rs, or run `rustup update stable`";
const COMPILER: &str =
    "Install one (Debian, Ubuntu: `apt install build-essential`; macOS: `xcode-select --install`)";

/// Show what this machine has, what it lacks, and the remedy for each.
///
/// Exit code: 0 if `scorebook lab` can work, else 1.
#[derive(Args)]
pub struct Doctor {}

/// What was found out about one thing.
struct Finding {
    name: &'static str,
    state: State,
    detail: String,
    /// What the reader can do, where there is something to do.
    remedy: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// It is there and works.
    Found,
    /// It is not there, and the notebooks run without it.
    Without,
    /// It is not there, and without it the notebooks do not run.
    Missing,
}

impl Doctor {
    pub fn execute(self) -> Result<ExitCode> {
        let findings = examine();
        for finding in &findings {
            let state = match finding.state {
                State::Found => "found",
                State::Without => "-",
                State::Missing => "MISSING",
            };
            println!("{:<14} {state:<8} {}", finding.name, finding.detail);
            if let Some(remedy) = &finding.remedy {
                println!("{:<14} {:<8} → {remedy}.", "", "");
            }
        }
        let missing: Vec<_> = findings
            .iter()
            .filter(|finding| finding.state == State::Missing)
            .map(|finding| finding.name)
            .collect();
        if missing.is_empty() {
            println!("\n`scorebook lab` can work.");
            return Ok(ExitCode::SUCCESS);
        }
        println!("\n`scorebook lab` cannot work without: {}.", missing.join(", "));
        Ok(ExitCode::FAILURE)
    }
}

fn examine() -> Vec<Finding> {
    let environment = Environment::find();
    let mut findings = compiler();
    findings.extend([
        rust_source(),
        jupyterlab(environment.as_ref()),
        kernelspec(environment.as_ref()),
        library(),
        prepared(),
        gpu(),
    ]);
    findings.extend(datasets());
    findings
}

/// What building cells needs.
fn compiler() -> Vec<Finding> {
    vec![toolchain("rustc"), toolchain("cargo"), linker()]
}

/// An error that names all that is missing for notebooks to run in this environment.
pub fn require_for_lab(environment: Option<&Environment>) -> Result<()> {
    let mut findings = compiler();
    findings.push(jupyterlab(environment));
    require(&findings)
}

/// An error that names all that is missing for notebooks to run without Jupyter.
pub fn require_for_run() -> Result<()> {
    require(&compiler())
}

fn require(findings: &[Finding]) -> Result<()> {
    let missing: Vec<_> = findings
        .iter()
        .filter(|finding| finding.state == State::Missing)
        .map(|Finding { name, detail, remedy, .. }| {
            let remedy = remedy.as_deref().unwrap_or_default();
            format!("\n  {name}: {detail}\n    → {remedy}.")
        })
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => bail!("something is missing on this machine:{}", missing.concat()),
    }
}

/// `rustc` and `cargo`: cells are compiled, so readers need them too.
fn toolchain(program: &'static str) -> Finding {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    match answer(Command::new(program).arg("--version")) {
        None => missing(program, format!("none on the PATH; {needed} is needed"), RUSTUP),
        Some(version) if is_at_least(&version, needed) => found(program, version),
        Some(version) => missing(program, format!("{version}; {needed} is needed"), RUSTUP),
    }
}

/// Whether `rustc 1.97.0 (…)` is at least `1.95`.
fn is_at_least(version: &str, needed: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.split(['.', '-']).map_while(|number| number.parse().ok()).collect()
    };
    version.split(' ').nth(1).is_some_and(|version| numbers(version) >= numbers(needed))
}

fn linker() -> Finding {
    match answer(Command::new("cc").arg("--version")) {
        Some(version) => found("linker", version),
        None => missing("linker", "no `cc` on the PATH; cells are linked with it".into(), COMPILER),
    }
}

fn rust_source() -> Finding {
    let root = answer(Command::new("rustc").args(["--print", "sysroot"])).map(PathBuf::from);
    match root.map(|root| root.join("lib/rustlib/src/rust/library")) {
        Some(source) if source.is_dir() => found("rust-src", source.display().to_string()),
        _ => without("rust-src", "no completion in notebooks", "`rustup component add rust-src`"),
    }
}

fn jupyterlab(environment: Option<&Environment>) -> Finding {
    if let Some(environment) = environment {
        let detail = format!("{} in {}", environment.jupyterlab, environment.prefix.display());
        return found("JupyterLab", detail);
    }
    match python::base_python() {
        Err(cause) => missing("Python", cause, python::NO_PYTHON),
        Ok(base) => {
            match answer(Command::new(&base).args(["-c", "import venv, ensurepip; print()"])) {
                Some(_) => without(
                    "JupyterLab",
                    &format!("none yet; Python is {}", base.display()),
                    "`scorebook lab` installs it in your cache folder (needs the network once)",
                ),
                None => missing(
                    "JupyterLab",
                    format!("none, and {} cannot make environments", base.display()),
                    "Debian, Ubuntu: `apt install python3-venv`",
                ),
            }
        }
    }
}

fn kernelspec(environment: Option<&Environment>) -> Finding {
    let of_environment = environment.map(|environment| Place::prefix(&environment.prefix));
    let places: Vec<_> = of_environment.into_iter().chain(Place::user()).collect();
    let installed = places.iter().find_map(|place| Some((place.folder(), place.program()?)));
    match installed {
        Some((folder, program)) if program.is_file() => {
            found("kernelspec", format!("{} starts {}", folder.display(), program.display()))
        }
        Some((folder, program)) => without(
            "kernelspec",
            &format!("{} starts {}, which is gone", folder.display(), program.display()),
            "`scorebook lab` or `scorebook install` writes it anew",
        ),
        None => without(
            "kernelspec",
            "not installed",
            "`scorebook lab` installs it; for a Jupyter of your own: `scorebook install`",
        ),
    }
}

fn library() -> Finding {
    match assets::library() {
        Ok(folder) => found("library", folder.display().to_string()),
        Err(error) => missing("library", format!("{error:#}"), "Make that folder writable"),
    }
}

fn prepared() -> Finding {
    let device = Device::Auto.resolve().unwrap_or(Device::Cpu);
    match workshop::prepared(device) {
        Some(folder) => found("build", format!("for {}: {}", device.name(), folder.display())),
        None => without(
            "build",
            &format!("the notebooks' build for {} is not prepared", device.name()),
            "`scorebook lab` and `scorebook run` prepare it, which takes minutes once",
        ),
    }
}

fn gpu() -> Finding {
    let gpus = device::nvidia_gpus().join("; ");
    match device::missing_for_cuda() {
        _ if cfg!(target_os = "macos") => found("GPU", "Metal".into()),
        None => found("GPU", gpus),
        Some(_) if gpus.is_empty() => Finding {
            name: "GPU",
            state: State::Without,
            detail: "no NVIDIA GPU; the notebooks run on the CPU".into(),
            remedy: None,
        },
        Some(reason) => without("GPU", &gpus, reason),
    }
}

/// The data sets and weights of the book, and the data that other places of this machine hold.
fn datasets() -> Vec<Finding> {
    let mut shipped: BTreeMap<PathBuf, (usize, usize)> = BTreeMap::new();
    for (path, size) in assets::datasets() {
        let set = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(path);
        let (files, bytes) = shipped.entry(set.to_owned()).or_default();
        *files += 1;
        *bytes += size;
    }
    let shipped = shipped.into_iter().map(|(set, (files, bytes))| {
        let size = bytes as f64 / 1e6;
        found("data", format!("{}: {files} files, {size:.1} MB, in the book", set.display()))
    });
    let cache = dirs::cache_dir().map(|cache| cache.join("scorebook/datasets"));
    let others = ["/usr/share/datasets".into()].into_iter().chain(cache);
    let others = others.filter_map(|folder| {
        let mut sets: Vec<_> = std::fs::read_dir(&folder)
            .ok()?
            .filter_map(|set| Some(set.ok()?.file_name().display().to_string()))
            .collect();
        sets.sort();
        (!sets.is_empty())
            .then(|| found("data", format!("{}: in {}", sets.join(", "), folder.display())))
    });
    shipped.chain(others).collect()
}

fn found(name: &'static str, detail: String) -> Finding {
    Finding { name, state: State::Found, detail, remedy: None }
}

fn without(name: &'static str, detail: &str, remedy: &str) -> Finding {
    let (detail, remedy) = (detail.to_owned(), Some(remedy.to_owned()));
    Finding { name, state: State::Without, detail, remedy }
}

fn missing(name: &'static str, detail: String, remedy: &str) -> Finding {
    Finding { name, state: State::Missing, detail, remedy: Some(remedy.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_at_least("rustc 1.95.0 (59807616e 2026-04-14)", "1.95"));
        assert!(is_at_least("cargo 1.100.0-nightly (x)", "1.95"));
        assert!(is_at_least("rustc 2.0.0", "1.95"));
        assert!(!is_at_least("rustc 1.9.0", "1.95"));
        assert!(!is_at_least("rustc 1.94.1 (x)", "1.95"));
        assert!(!is_at_least("something else", "1.95"));
    }
}
