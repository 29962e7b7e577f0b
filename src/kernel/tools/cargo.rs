//! In the place of cargo.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::answer::{Answer, Note};
use super::place::Place;
use super::recording::{self, Recording};
use super::{environment, trim};

/// The package by which `evcxr` asks whether a dependency exists.
const VALIDATION: &str = "evcxr_dummy_validate_dep";

/// Does what cargo would do with these arguments in the current folder; its exit code.
pub(super) fn run(place: &Place, arguments: &[OsString]) -> anyhow::Result<i32> {
    let spoken: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
    let Some((spoken, manifest)) = spoken.zip(place.manifest()) else {
        return become_cargo(arguments);
    };
    let asked = essential(&spoken);
    let note = Note::on(place, &manifest, &asked);
    let validates = manifest.package == VALIDATION;
    let _versions = validates.then(Versions::keep);
    match (task(&asked), note) {
        (Task::Build, Some(note)) => match note.read::<Recording>() {
            Some(recording) => recording.replay(),
            None => recording::build(place, &note, arguments),
        },
        (Task::Question, Some(note)) => {
            let answer = match note.read::<Answer>() {
                Some(answer) => answer,
                None => ask(&note, arguments, |output| {
                    if validates {
                        // Only the success counts.
                        String::new()
                    } else if asked.contains(&"metadata") {
                        trim::metadata(&output).unwrap_or(output)
                    } else {
                        output
                    }
                })?,
            };
            let _ = std::io::stdout().write_all(answer.output.as_bytes());
            Ok(answer.code)
        }
        (Task::Question, None) if validates => {
            Ok(real_cargo(arguments)?.status()?.code().unwrap_or(1))
        }
        _ => become_cargo(arguments),
    }
}

/// The file of versions, which gets its content back in the end. `evcxr` asks about a new dependency in the cells' own
/// folder, with a manifest that has nothing else in it, and cargo cuts the file down to that: the next build would
/// look for the latest versions of everything, and compile them.
struct Versions(Option<Vec<u8>>);

impl Versions {
    const FILE: &str = "Cargo.lock";

    fn keep() -> Self {
        Self(std::fs::read(Self::FILE).ok())
    }
}

impl Drop for Versions {
    fn drop(&mut self) {
        if let Some(content) = &self.0 {
            let _ = std::fs::write(Self::FILE, content);
        }
    }
}

enum Task {
    /// Compiles a cell.
    Build,
    /// Changes nothing.
    Question,
    Other,
}

fn task(asked: &[&str]) -> Task {
    let questions = ["metadata", "locate-project", "config", "--version"];
    if asked.first() == Some(&"build") {
        Task::Build
    } else if asked.iter().any(|word| questions.contains(word))
        || (asked.contains(&"rustc") && asked.contains(&"--print"))
    {
        Task::Question
    } else {
        Task::Other
    }
}

/// The arguments without those that do not matter to the answer: whether the network may be used, and where
/// rust-analyzer has put its copy of the lock file.
fn essential<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match argument {
            "--offline" => {}
            "--lockfile-path" => drop(arguments.next()),
            _ => kept.push(argument),
        }
    }
    kept
}

/// Asks cargo, and notes a good answer as `edit` leaves it.
fn ask(
    note: &Note,
    arguments: &[OsString],
    edit: impl FnOnce(String) -> String,
) -> anyhow::Result<Answer> {
    let mut cargo = real_cargo(arguments)?;
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code().unwrap_or(1);
    let answer = Answer { code, output: if code == 0 { edit(text) } else { text } };
    if code == 0 {
        note.write(&answer);
    }
    Ok(answer)
}

/// Runs the real cargo in this process.
fn become_cargo(arguments: &[OsString]) -> anyhow::Result<i32> {
    Err(real_cargo(arguments)?.exec()).context("cannot run cargo")
}

fn real_cargo(arguments: &[OsString]) -> anyhow::Result<Command> {
    let mut cargo = environment::real(environment::real_cargo()?)?;
    cargo.args(arguments);
    Ok(cargo)
}
