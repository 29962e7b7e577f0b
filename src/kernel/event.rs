//! What the supervisor of the cells tells the kernel: one line of its standard output for each event.

use scorebook::notebook::channel::Message;
use serde::{Deserialize, Serialize};

/// How a line for the kernel begins; every other line is `evcxr`'s own.
const PREFIX: &str = "\u{1b}]scorebook-event;";

/// Something that happened in the process that runs the cells, in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The compiled cell begins to run.
    Started,
    /// The cell was interrupted before it began, and was not run.
    Skipped,
    /// Text that was printed.
    Text { stream: Stream, text: String },
    /// A message of the library: an output, an update, a panic of another thread.
    Message { content: Message },
    /// The cell ended by a panic.
    Panicked { text: String, location: String },
    /// The cell ended by a `?` on an error, whose text this is.
    Failed { text: String },
    /// The process of the cells has ended.
    Died { cause: String },
}

/// One of the two standard streams of text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Event {
    /// The line that carries the event.
    pub(super) fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("an event holds only strings, maps and JSON");
        format!("{PREFIX}{json}")
    }

    /// The event that `line` carries, if it is one.
    pub(super) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(PREFIX)?).ok()
    }
}
