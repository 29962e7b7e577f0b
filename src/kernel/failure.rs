//! What went wrong in a cell, as the front end is told.

use jupyter_protocol::{ErrorOutput, ExpressionResult, ReplyError};

use super::diagnostic::{self, Sources};
use super::interruption::{GRACE, Outcome};
use super::syntax::Shown;

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

    /// The code does not compile; `imports` finds the `use` lines for a name of the library.
    pub(super) fn compilation(
        errors: &[evcxr::CompilationError],
        code: &str,
        shown: Option<&Shown>,
        imports: impl Fn(&str) -> Vec<String>,
    ) -> Self {
        let text = errors.first().map(diagnostic::headline).unwrap_or_default();
        let render = |error| {
            let mut text = diagnostic::render(error, code, shown);
            let lines = diagnostic::unknown_name(error).map(|name| imports(&name));
            if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
                text.push('\n');
                text.push_str(&diagnostic::importable(&lines));
            }
            text
        };
        let traceback = errors.iter().map(render).collect();
        Self { name: "CompileError".into(), text, traceback }
    }

    /// A panic at `location` (a file and a position in it).
    pub(super) fn panic(text: &str, location: &str, sources: &Sources) -> Self {
        let place = diagnostic::line_of_cell(location, sources)
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

    /// Something would be lost, and was not done yet.
    pub(super) fn warning(text: &str) -> Self {
        Self::new("Warning", text, vec!["Run the cell again to do it all the same.".into()])
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

    /// As the answer to an expression of the client's.
    pub(super) fn expression(self) -> ExpressionResult {
        let Self { name: ename, text: evalue, traceback } = self;
        ExpressionResult::Error { ename, evalue, traceback }
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
        let place = |location: &str| {
            let cell = "let v = vec![1];\nv[i]\n + 1;\nv[3]";
            let sources = Sources {
                generated: "// generated\nfn old() {\nold[1]\n}\nfn f() {\nlet v = vec![1];\nv[i]\n + 1;\n(&(v[3])).evcxr_display();\n}\n",
                compiled: "let v = vec![1];\nv[i]\n + 1;\n(&(v[3])).evcxr_display();",
                cell,
                earlier: &[(4, "fn old() {\n  old[1]\n}".into()), (5, "1".into())],
            };
            Failure::panic("out of bounds", location, &sources).traceback[1].clone()
        };
        assert_eq!(place("src/lib.rs:7:9"), "  --> line 2 of the cell: v[i]");
        assert_eq!(place("src/lib.rs:9:9"), "  --> line 4 of the cell: v[3]");
        assert_eq!(place("src/lib.rs:3:1"), "  --> line 2 of cell [4]: old[1]");
        assert_eq!(place("/cargo/x.rs:4:9"), "  --> /cargo/x.rs:4:9");
    }

    #[test]
    fn of_equal_lines_the_right_one_is_named() {
        let code = "f(1);\nf(2);\nf(1);";
        let generated = "fn f(n: i32) {}\nf(1);\nf(2);\nf(1);\n";
        let sources = Sources { generated, compiled: code, cell: code, earlier: &[] };
        for (location, line) in [("src/lib.rs:2:1", 1), ("src/lib.rs:4:1", 3)] {
            let failure = Failure::panic("no", location, &sources);
            assert!(failure.traceback[1].contains(&format!("line {line} of")), "{failure:?}");
        }
    }
}
