//! The way from a cell to its kernel: one line of standard output for each message.
//!
//! A line begins with [`PREFIX`], which no program prints by accident, and goes on with JSON. It is
//! written under the lock and through the buffer of standard output, so it stays in order with the
//! text that the cell prints.

use std::io::Write;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Bundle;

/// Set by the kernel `scorebook` in the process that runs its cells.
pub const KERNEL_VARIABLE: &str = "SCOREBOOK_KERNEL";

/// Set by `evcxr` in the process that runs its cells, under the kernel `scorebook` as well.
const EVCXR_VARIABLE: &str = "EVCXR_IS_RUNTIME";

/// How a line for the kernel begins.
pub const PREFIX: &str = "\u{1b}]scorebook;";

/// What a cell tells its kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// An output beside the cell's value, by an identity if it is to be replaced later.
    Display { bundle: Bundle, id: Option<String> },
    /// The new content of the outputs with this identity.
    Update { bundle: Bundle, id: String },
    /// The value of the cell's last expression.
    Result { bundle: Bundle },
    /// Take the cell's outputs away, at once or when the next one arrives.
    ClearOutput { wait: bool },
    /// A thread panicked; `in_cell` if it was the one that runs the cell.
    Panic { text: String, location: String, thread: String, in_cell: bool },
    /// A question to the reader, whose answer comes on standard input.
    Question { prompt: String, password: bool },
    /// Everything that was written before has arrived (the answer to the kernel's `sync`).
    Sync,
}

/// The kernel's answer to a [`Message::Question`], one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What the reader typed.
    Text(String),
    /// Why nobody answers.
    Refused(String),
}

/// Who listens to this process.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Audience {
    /// The kernel `scorebook`.
    Kernel,
    /// Stock `evcxr`, which shows content blocks when the cell ends.
    Evcxr,
    /// A terminal, a pipe, a test.
    Plain,
}

/// Who listens to this process.
pub(crate) fn audience() -> Audience {
    static AUDIENCE: LazyLock<Audience> = LazyLock::new(|| {
        if std::env::var_os(KERNEL_VARIABLE).is_some() {
            Audience::Kernel
        } else if std::env::var_os(EVCXR_VARIABLE).is_some() {
            Audience::Evcxr
        } else {
            Audience::Plain
        }
    });
    *AUDIENCE
}

/// Sends `message` to whoever listens, in the richest way that he understands.
///
/// A closed standard output is no error here: nobody is left to be told.
pub(crate) fn send(message: &Message) {
    let text = match audience() {
        Audience::Kernel => line(message),
        Audience::Evcxr => content_blocks(message),
        Audience::Plain => plain_text(message),
    };
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The line that carries `message` to the kernel.
pub fn line(message: &Message) -> String {
    let json = serde_json::to_string(message).expect("a message holds only strings, maps and JSON");
    format!("{PREFIX}{json}\n")
}

fn content_blocks(message: &Message) -> String {
    if let Message::Question { prompt, password } = message {
        // As the crate `evcxr_input` does; a prompt ends at a colon there.
        let kind = if *password { "_PASSWORD" } else { "" };
        return format!("EVCXR_INPUT_REQUEST{kind}:{}\n", prompt.replace(':', ""));
    }
    let (Message::Display { bundle, .. }
    | Message::Update { bundle, .. }
    | Message::Result { bundle }) = message
    else {
        return String::new();
    };
    let block = |(mime, content): (&str, &serde_json::Value)| {
        let content = content.as_str().map_or_else(|| content.to_string(), String::from);
        format!("EVCXR_BEGIN_CONTENT {mime}\n{content}\nEVCXR_END_CONTENT\n")
    };
    bundle.formats().map(block).collect()
}

fn plain_text(message: &Message) -> String {
    match message {
        Message::Display { bundle, .. } | Message::Result { bundle } => bundle
            .get("text/plain")
            .map(|text| format!("{}\n", text.trim_end_matches('\n')))
            .unwrap_or_default(),
        Message::Question { prompt, .. } => prompt.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_its_line() {
        let message = Message::Display {
            bundle: Bundle::text("two\nlines \u{1b}").with("text/html", "<b>é</b>"),
            id: Some("a".into()),
        };
        let line = line(&message);
        assert_eq!(line.matches('\n').count(), 1, "one line only: {line:?}");
        let json = line.strip_prefix(PREFIX).unwrap();
        assert_eq!(serde_json::from_str::<Message>(json).unwrap(), message);
    }

    #[test]
    fn stock_evcxr_gets_one_block_for_each_format() {
        let message = Message::Result { bundle: Bundle::text("x").with("text/html", "<i>x</i>") };
        assert_eq!(
            content_blocks(&message),
            "EVCXR_BEGIN_CONTENT text/html\n<i>x</i>\nEVCXR_END_CONTENT\n\
             EVCXR_BEGIN_CONTENT text/plain\nx\nEVCXR_END_CONTENT\n"
        );
        assert_eq!(content_blocks(&Message::ClearOutput { wait: true }), "");
    }

    #[test]
    fn a_terminal_gets_plain_text_only() {
        let message = Message::Display { bundle: Bundle::svg("<svg/>"), id: None };
        assert_eq!(plain_text(&message), "");
        let message = Message::Display { bundle: Bundle::text("x"), id: None };
        assert_eq!(plain_text(&message), "x\n");
    }
}
