//! A Python environment with JupyterLab: one that is there, or one of our own in the cache folder.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::activity::Activity;
use super::{cache, process};

/// The JupyterLab of an environment of our own.
const JUPYTERLAB: &str = "jupyterlab==4.6.6";
/// The Python that it needs.
const PYTHON: (u32, u32) = (3, 10);
/// The file in an environment of our own that says it is whole, and what it holds.
const COMPLETE: &str = "scorebook-complete";

/// What to do where there is no Python.
pub const NO_PYTHON: &str = "Install Python 3.10 or later \
    (Debian, Ubuntu: `apt install python3 python3-venv`; Fedora: `dnf install python3`; \
    macOS: `brew install python`)";

/// A Python that can start JupyterLab.
#[derive(Debug)]
pub struct Environment {
    /// The interpreter.
    pub interpreter: PathBuf,
    /// Its `sys.prefix`.
    pub prefix: PathBuf,
    /// Whether the prefix is an environment's, not the system's.
    pub is_virtual: bool,
    /// The version of its JupyterLab.
    pub jupyterlab: String,
}

impl Environment {
    /// An environment that is there: the active one, that of the `jupyter-lab` on the PATH, that
    /// of the Python on the PATH, or our own.
    pub fn find() -> Option<Self> {
        let active = std::env::var_os("VIRTUAL_ENV").map(|folder| interpreter(folder.as_ref()));
        let script = on_path("jupyter-lab").and_then(|script| interpreter_of(&script));
        let on_path = ["python3", "python"].map(PathBuf::from);
        let candidates = active.into_iter().chain(script).chain(on_path);
        candidates.into_iter().find_map(|candidate| Self::probe(&candidate)).or_else(Self::own)
    }

    /// Our own environment, if it is whole and works.
    fn own() -> Option<Self> {
        let folder = cache::folder().ok()?.join("python");
        let holds = fs::read_to_string(folder.join(COMPLETE)).ok()?;
        (holds == JUPYTERLAB).then(|| Self::probe(&interpreter(&folder))).flatten()
    }

    /// Makes our own environment: needs a Python and the network. What an interrupted attempt left
    /// is removed first.
    pub fn make() -> Result<Self> {
        let base = base_python().map_err(|cause| anyhow!("{cause}. {NO_PYTHON}"))?;
        let cache = cache::folder()?;
        let folder = cache.join("python");
        // One at a time: another `lab` may be making it just now.
        let lock = fs::File::create(cache.join("python.lock"))?;
        lock.lock().context("cannot lock the cache folder")?;
        if let Some(environment) = Self::own() {
            return Ok(environment);
        }
        if folder.exists() {
            eprintln!("The environment in {} is not whole; making it anew.", folder.display());
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        eprintln!("There is no JupyterLab here; installing it in {}.", folder.display());
        let venv = Command::new(&base).args(["-m", "venv"]).arg(&folder).output()?;
        if !venv.status.success() {
            let _ = fs::remove_dir_all(&folder);
            return Err(venv_failure(
                &base,
                &format!("{:?}", [venv.stdout, venv.stderr].map(text)),
            ));
        }
        let mut pip = Command::new(interpreter(&folder));
        pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check"]);
        pip.args(["--progress-bar", "off", JUPYTERLAB]);
        show(pip, "Installing JupyterLab").with_context(|| {
            format!(
                "pip could not install {JUPYTERLAB}. It needs the network once; or install \
                 JupyterLab yourself, put `jupyter-lab` on the PATH and try again"
            )
        })?;
        let environment = Self::probe(&interpreter(&folder))
            .with_context(|| format!("the JupyterLab in {} does not start", folder.display()))?;
        fs::write(folder.join(COMPLETE), JUPYTERLAB)?;
        Ok(environment)
    }

    /// Asks an interpreter whether it can start JupyterLab, and where it lies.
    fn probe(interpreter: &Path) -> Option<Self> {
        const PROBE: &str = "\
import sys, os, jupyterlab
from jupyterlab.labapp import LabApp
conda = os.path.isdir(os.path.join(sys.prefix, 'conda-meta'))
virtual = conda or sys.prefix != sys.base_prefix
print('\\t'.join([sys.executable, sys.prefix, str(virtual), jupyterlab.__version__]))";
        let line = process::answer(Command::new(interpreter).args(["-c", PROBE]))?;
        let [interpreter, prefix, is_virtual, jupyterlab] =
            line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let major: u32 = jupyterlab.split('.').next()?.parse().ok()?;
        (major >= 3).then(|| Self {
            interpreter: interpreter.into(),
            prefix: prefix.into(),
            is_virtual: is_virtual == "True",
            jupyterlab: jupyterlab.to_owned(),
        })
    }
}

/// A Python on the PATH that is recent enough to install JupyterLab with; else what is wrong.
pub fn base_python() -> Result<PathBuf, String> {
    let mut found = None;
    for name in ["python3", "python", "python3.14", "python3.13", "python3.12", "python3.11"] {
        const VERSION: &str = "import sys; print(*sys.version_info[:2], sys.executable)";
        let Some(line) = process::answer(Command::new(name).args(["-c", VERSION])) else {
            continue;
        };
        let mut fields = line.splitn(3, ' ');
        let mut number = || fields.next().and_then(|field| field.parse::<u32>().ok());
        let (Some(major), Some(minor)) = (number(), number()) else { continue };
        if (major, minor) >= PYTHON {
            return Ok(fields.next().unwrap_or(name).into());
        }
        found.get_or_insert(format!("{name} is Python {major}.{minor}"));
    }
    Err(match found {
        Some(found) => format!("{found}, too old for JupyterLab"),
        None => "there is no Python on the PATH".into(),
    })
}

/// What to say when `python -m venv` failed.
fn venv_failure(base: &Path, output: &str) -> anyhow::Error {
    if output.contains("ensurepip") || output.contains("No module named venv") {
        anyhow!(
            "{} cannot make environments: a part of Python is not installed. \
             Install it (Debian, Ubuntu: `apt install python3-venv`) and try again",
            base.display()
        )
    } else {
        anyhow!("{} -m venv failed: {output}", base.display())
    }
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The Python that a script's first line names.
fn interpreter_of(script: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    fs::File::open(script).ok()?.take(1024).read_to_end(&mut start).ok()?;
    let line = String::from_utf8_lossy(&start).lines().next()?.to_owned();
    let interpreter = line.strip_prefix("#!")?.trim();
    interpreter.contains("python").then(|| interpreter.into())
}

/// Runs a command with its last line of output shown; an error ends with the last
/// lines of its output.
fn show(mut command: Command, label: &str) -> Result<()> {
    let mut activity = Activity::new(label);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    // Errors are read in a thread of their own, or a full pipe would stop the program.
    let errors = child.stderr.take().map(|mut stream| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            text(bytes)
        })
    });
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        activity.say(&line.unwrap_or_default());
    }
    let errors = errors.and_then(|reader| reader.join().ok()).unwrap_or_default();
    drop(activity);
    match child.wait()?.success() {
        true => Ok(()),
        false => {
            let lines: Vec<_> = errors.lines().collect();
            bail!("{}", lines[lines.len().saturating_sub(10)..].join("\n"))
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_in_its_first_line() {
        let script = std::env::temp_dir().join(format!("scorebook-script-{}", std::process::id()));
        for (first, expected) in [
            ("#!/opt/venv/bin/python3.12\nimport re", Some("/opt/venv/bin/python3.12")),
            ("#!/usr/bin/env bash\nexec pyenv", None),
            ("\x7fELF", None),
        ] {
            fs::write(&script, first).unwrap();
            assert_eq!(interpreter_of(&script), expected.map(PathBuf::from));
        }
        fs::remove_file(script).unwrap();
    }

    #[test]
    fn a_python_without_its_venv_has_a_remedy() {
        let said = "The virtual environment was not created because ensurepip is not available.";
        let error = venv_failure(Path::new("/usr/bin/python3"), said).to_string();
        assert!(error.contains("apt install python3-venv"), "{error}");
    }
}
