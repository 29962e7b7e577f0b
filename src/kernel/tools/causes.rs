//! The causes of an error that ends a cell.
//!
//! Where a cell ends by a `?`, the code that `evcxr` generates prints the error by `Display`, which leaves out what the
//! error was caused by. Before a cell is compiled, that code is changed to print the causes too. It then takes every
//! error that fits into a `Box<dyn Error>`; a cell with another one is compiled as `evcxr` wrote it.

use std::fs;
use std::io::Write;
use std::process::{Command, Output};

use anyhow::Context;

/// The crate of the cells, whose folder the compiler is called in.
const SOURCE: &str = "src/lib.rs";
/// What `evcxr` generates, and what stands in its place on the same line.
const CHANGES: [(&str, &str); 2] = [
    (
        "impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError",
        "impl<T: Into<Box<dyn std::error::Error>>> From<T> for EvcxrUserCodeError",
    ),
    (r#"eprintln!("{}", error);"#, r#"eprintln!("{}", scorebook::notebook::chain(error.into()));"#),
];
/// What the compiler's complaint names if the change is to blame: an error that is of no such type, or not for long.
const BLAMED: [&str; 2] = ["EvcxrUserCodeError", "'static"];

/// Runs the command that compiles a cell; its exit code.
pub(super) fn compile(command: &mut Command) -> anyhow::Result<i32> {
    let original = fs::read_to_string(SOURCE).unwrap_or_default();
    let changed = changed(&original);
    if let Some(changed) = &changed {
        fs::write(SOURCE, changed)?;
    }
    let mut output = run(command)?;
    if changed.is_some() && !output.status.success() && may_be_to_blame(&output) {
        fs::write(SOURCE, original)?;
        output = run(command)?;
    }
    std::io::stderr().write_all(&output.stderr)?;
    std::io::stdout().write_all(&output.stdout)?;
    Ok(output.status.code().unwrap_or(1))
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    command.output().with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// The source with the causes printed, if it has the code that prints errors.
fn changed(source: &str) -> Option<String> {
    CHANGES.iter().all(|(old, _)| source.contains(old)).then(|| {
        CHANGES.iter().fold(source.to_owned(), |source, (old, new)| source.replacen(old, new, 1))
    })
}

/// Whether the change may be to blame. The complaint can be on either stream: cargo passes the compiler's on as its own.
fn may_be_to_blame(output: &Output) -> bool {
    let said = [&output.stderr, &output.stdout].map(|text| String::from_utf8_lossy(text));
    said.iter().any(|text| BLAMED.iter().any(|blamed| text.contains(blamed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_prints_errors_is_changed_and_keeps_its_lines() {
        let source = "\n impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError {\n fn from(error: T) -> Self {\n eprintln!(\"{}\", error);\n }\n}\neprintln!(\"{}\", error);";
        let changed = changed(source).unwrap();
        assert_eq!(changed.lines().count(), source.lines().count());
        assert!(
            changed.contains("chain(error.into())")
                && changed.ends_with("eprintln!(\"{}\", error);")
        );
        assert_eq!(super::changed("eprintln!(\"{}\", error);"), None);
    }
}
