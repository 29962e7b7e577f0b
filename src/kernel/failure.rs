//! What went wrong in a cell, as the front end is told.

use jupyter_protocol::{ErrorOutput, ReplyError};

use super::diagnostic;
use super::interruption::{GRACE, Outcome};

/// A failed cell: a name, a text and the lines that are shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) traceback: Vec<String>,
}

impl Failure {
    fn new(name: &str, text: impl Into<String>, details: Vec<String>) -> Self {
        let text = text.into();
        let headline = format!("{}: {text}", diagnostic::red(name));
        let traceback = std::iter::once(headline).chain(details).collect();
        Self { name: name.into(), text, traceback }
    }

    /// The code does not compile.
    pub(super) fn compilation(errors: &[evcxr::CompilationError], code: &str) -> Self {
        let text = errors.first().map(diagnostic::headline).unwrap_or_default();
        let traceback = errors.iter().map(|error| diagnostic::render(error, code)).collect();
        Self { name: "CompileError".into(), text, traceback }
    }

    /// A panic at `location` (a file and a position in it).
    pub(super) fn panic(text: &str, location: &str, code: &str, source: &str) -> Self {
        let place = diagnostic::line_of_cell(location, code, source)
            .unwrap_or_else(|| format!("  --> {location}"));
        let text = if text.is_empty() { "the cell panicked" } else { text };
        Self::new("Panic", text, vec![place])
    }

    /// A `?` on an error.
    pub(super) fn question_mark(text: &str) -> Self {
        let note = "The cell ended at a `?`; the variables that it defined are not kept.";
        Self::new("Error", text, vec![note.into()])
    }

    /// The process of the cells has ended.
    pub(super) fn died(cause: &str, lost: &[String]) -> Self {
        Self::new("ProcessEnded", cause, vec![aftermath(lost)])
    }

    /// The cell was interrupted.
    pub(super) fn interrupted(outcome: Outcome, lost: &[String]) -> Self {
        if outcome == Outcome::Killed {
            let text = format!(
                "the cell did not stop within {} seconds, so its process was ended",
                GRACE.as_secs()
            );
            Self::new("Interrupted", text, vec![aftermath(lost)])
        } else {
            Self::new("Interrupted", "the cell was stopped; its variables are kept", Vec::new())
        }
    }

    /// The cell was interrupted before it began.
    pub(super) fn skipped() -> Self {
        Self::new("Interrupted", "the cell was stopped before it ran", Vec::new())
    }

    /// Anything else: a command that failed, a type that cannot be kept.
    pub(super) fn message(text: &str) -> Self {
        Self::new("Error", text, Vec::new())
    }

    /// As a part of the reply.
    pub(super) fn reply(&self) -> Box<ReplyError> {
        Box::new(ReplyError {
            ename: self.name.clone(),
            evalue: self.text.clone(),
            traceback: self.traceback.clone(),
        })
    }

    /// As an output of the cell.
    pub(super) fn output(&self) -> ErrorOutput {
        ErrorOutput {
            ename: self.name.clone(),
            evalue: self.text.clone(),
            traceback: self.traceback.clone(),
        }
    }
}

fn aftermath(lost: &[String]) -> String {
    if lost.is_empty() {
        "No variables were lost. The next cell runs in a new process.".into()
    } else {
        format!(
            "These variables are lost: {}. Functions, types and `use` lines are kept. \
             The next cell runs in a new process.",
            lost.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_lost() {
        let failure = Failure::died("exit code 3", &["a".into(), "b".into()]);
        assert!(failure.traceback[1].contains("lost: a, b."), "{:?}", failure.traceback);
        assert_eq!((failure.name.as_str(), failure.text.as_str()), ("ProcessEnded", "exit code 3"));
        let kept = Failure::interrupted(Outcome::Asked, &["a".into()]);
        assert!(kept.text.contains("kept") && kept.traceback.len() == 1);
    }

    #[test]
    fn a_panic_names_the_line_of_the_cell() {
        let code = "let v = vec![1];\nlet y = v[3];";
        let source = "// generated\nfn f() {\nlet v = vec![1];\nlet y = v[3];\n}\n";
        let failure = Failure::panic("out of bounds", "src/lib.rs:4:9", code, source);
        assert_eq!(failure.traceback[1], "  --> line 2 of the cell: let y = v[3];");
        let elsewhere = Failure::panic("no", "/cargo/x.rs:4:9", code, source);
        assert_eq!(elsewhere.traceback[1], "  --> /cargo/x.rs:4:9");
    }
}
