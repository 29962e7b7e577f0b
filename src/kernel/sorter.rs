//! Sorts what a cell writes: text, messages of the library, and the lines that `evcxr` waits for.
//!
//! `evcxr` reads whole lines of valid UTF-8 and takes its own notices out of them. Cells write bytes:
//! lines without an end, invalid UTF-8, a notice right behind a text without a newline. The sorter
//! stands between the two. It is a plain state machine: bytes go in, items come out.

use scorebook::notebook::Bundle;
use scorebook::notebook::channel::{self, Message};

use super::cells::COMPLETE;
use super::event::{Event, Stream};
use super::input::Asker;

const PANICKED: &str = "EVCXR_PANIC_NOTIFICATION";
const FAILED: &str = "EVCXR_ERROR_OCCURRED";
const CHANGED_TYPE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
const INPUT: &str = "EVCXR_INPUT_REQUEST";
const BEGIN_CONTENT: &str = "EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &str = "EVCXR_END_CONTENT";
/// What all of `evcxr`'s notices begin with.
const NOTICE: &str = "EVCXR_";

/// What the sorter makes of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// For the kernel.
    Event(Event),
    /// A question to the reader.
    Ask { asker: Asker, prompt: String, password: bool },
    /// For `evcxr`, as it stands.
    Protocol(String),
    /// The cell's code has ended; [`Sorter::end`] is called when the last of its output is in.
    EndOfCell,
    /// The mark that the kernel asked for has come through this stream.
    Sync(Stream),
}

/// The state between two pieces of output.
#[derive(Debug, Default)]
pub(super) struct Sorter {
    out: Vec<u8>,
    err: Vec<u8>,
    block: Option<Block>,
    /// Finished content blocks that may belong to one output in several formats.
    bundle: Bundle,
    /// Text of standard error that a `?` may turn out to have written.
    held: String,
    panic: Option<Panic>,
    panicked: bool,
    failed: bool,
    items: Vec<Item>,
}

/// The last panic, which may or may not be the end of the cell.
#[derive(Debug, Default)]
struct Panic {
    text: String,
    location: String,
    /// Whether its text has been shown already.
    shown: bool,
}

/// A content block of `evcxr` that has begun.
#[derive(Debug)]
struct Block {
    mime: String,
    lines: Vec<String>,
}

impl Sorter {
    /// Bytes of standard output.
    pub(super) fn stdout(&mut self, bytes: &[u8]) -> Vec<Item> {
        // Only the new bytes are searched: a picture is one line of megabytes that comes in pieces.
        if let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') {
            self.out.extend_from_slice(&bytes[..end]);
            for line in std::mem::take(&mut self.out).split(|&byte| byte == b'\n') {
                self.line(&String::from_utf8_lossy(line));
            }
            self.out.extend_from_slice(&bytes[end + 1..]);
        } else {
            self.out.extend_from_slice(bytes);
        }
        std::mem::take(&mut self.items)
    }

    /// Bytes of standard error.
    pub(super) fn stderr(&mut self, bytes: &[u8]) -> Vec<Item> {
        self.err.extend_from_slice(bytes);
        let mark = channel::line(&Message::Sync);
        if let Some(at) = find(&self.err, mark.as_bytes()) {
            let rest = self.err.split_off(at + mark.len());
            self.hold(at);
            self.err = rest;
            self.items.push(Item::Sync(Stream::Stderr));
        }
        // The beginning of a mark, or of a character, waits for its rest.
        let begun = (1..mark.len()).rev().find(|&n| self.err.ends_with(&mark.as_bytes()[..n]));
        self.hold((self.err.len() - begun.unwrap_or(0)).min(whole_characters(&self.err)));
        std::mem::take(&mut self.items)
    }

    /// Nothing has come for a while: what waits for a newline is shown without it.
    pub(super) fn pause(&mut self) -> Vec<Item> {
        if !self.failed {
            self.release();
        }
        if self.block.is_none() {
            let text = String::from_utf8_lossy(&self.out);
            let notice = text.find(NOTICE).or_else(|| text.find('\u{1b}'));
            let length = notice.unwrap_or_else(|| whole_characters(&self.out));
            let shown: Vec<u8> = self.out.drain(..length.min(self.out.len())).collect();
            self.text(Stream::Stdout, &String::from_utf8_lossy(&shown));
        }
        std::mem::take(&mut self.items)
    }

    /// The cell has ended and all of its output is in.
    pub(super) fn end(&mut self) -> Vec<Item> {
        let rest = std::mem::take(&mut self.out);
        self.text(Stream::Stdout, &String::from_utf8_lossy(&rest));
        self.hold(self.err.len());
        let bundle = std::mem::take(&mut self.bundle);
        if !bundle.is_empty() {
            self.items.push(message(Message::Result { bundle }));
        }
        let failed = std::mem::take(&mut self.failed);
        if failed {
            let text = std::mem::take(&mut self.held).trim_end().to_owned();
            self.items.push(Item::Event(Event::Failed { text }));
        }
        self.release();
        if std::mem::take(&mut self.panicked) {
            let Panic { text, location, .. } = self.panic.take().unwrap_or_default();
            self.items.push(Item::Event(Event::Panicked { text, location }));
        }
        self.show_panic();
        self.block = None;
        std::mem::take(&mut self.items)
    }

    fn line(&mut self, line: &str) {
        if let Some(block) = &mut self.block {
            match line {
                END_CONTENT => self.end_block(),
                PANICKED => {
                    self.block = None;
                    self.line(line);
                }
                _ => block.lines.push(line.to_owned()),
            }
        } else if let Some((before, json)) = line.split_once(channel::PREFIX) {
            match serde_json::from_str(json) {
                Ok(content) => {
                    self.text(Stream::Stdout, before);
                    self.message(content);
                }
                Err(_) => self.text(Stream::Stdout, &format!("{line}\n")),
            }
        } else if let Some((before, notice)) = line.rfind(NOTICE).map(|at| line.split_at(at)) {
            self.notice(before, notice);
        } else {
            self.text(Stream::Stdout, &format!("{line}\n"));
        }
    }

    fn notice(&mut self, before: &str, notice: &str) {
        // A text right before a notice is one that the cell printed without a newline.
        self.text(Stream::Stdout, before);
        if notice == COMPLETE {
            self.items.push(Item::EndOfCell);
        } else if notice == PANICKED {
            self.panicked = true;
            self.items.push(Item::Protocol(notice.into()));
        } else if notice == FAILED {
            self.failed = true;
            self.items.push(Item::Protocol(notice.into()));
        } else if notice.starts_with(CHANGED_TYPE) {
            self.items.push(Item::Protocol(notice.into()));
        } else if let Some(question) = notice.strip_prefix(INPUT) {
            let (kind, prompt) = question.split_once(':').unwrap_or((question, ""));
            self.items.push(Item::Ask {
                asker: Asker::Evcxr,
                prompt: prompt.into(),
                password: !kind.is_empty(),
            });
        } else if let Some(mime) = notice.strip_prefix(BEGIN_CONTENT) {
            self.block = Some(Block { mime: mime.to_owned(), lines: Vec::new() });
        } else {
            self.text(Stream::Stdout, &format!("{notice}\n"));
        }
    }

    fn message(&mut self, content: Message) {
        match content {
            Message::Sync => self.items.push(Item::Sync(Stream::Stdout)),
            Message::Question { prompt, password } => {
                self.settle();
                self.items.push(Item::Ask { asker: Asker::Library, prompt, password });
            }
            Message::Panic { text, location, thread, in_cell } => {
                // The panic before was caught, or nobody would have lived to see this one.
                self.show_panic();
                if !in_cell {
                    let said = format!("thread {thread} panicked at {location}: {text}\n");
                    self.text(Stream::Stderr, &said);
                }
                self.panic = Some(Panic { text, location, shown: !in_cell });
            }
            content => {
                self.settle();
                self.items.push(message(content));
            }
        }
    }

    fn end_block(&mut self) {
        let Some(Block { mime, lines }) = self.block.take() else { return };
        let content = lines.join("\n");
        if self.bundle.get(&mime).is_some() {
            self.settle();
        }
        // The value `()` of a last expression is nothing to show.
        if (mime.as_str(), content.as_str()) != ("text/plain", "()") {
            self.bundle = std::mem::take(&mut self.bundle).with(mime, content);
        }
    }

    /// What was held back because of what might follow did not belong to it.
    fn settle(&mut self) {
        if !self.failed {
            self.release();
        }
        let bundle = std::mem::take(&mut self.bundle);
        if !bundle.is_empty() {
            self.items.push(message(Message::Display { bundle, id: None }));
        }
    }

    fn show_panic(&mut self) {
        if let Some(Panic { text, location, shown: false }) = self.panic.take() {
            self.text(Stream::Stderr, &format!("panicked at {location}: {text}\n"));
        }
    }

    /// Holds the first `length` bytes of standard error back, until it is known what they are.
    fn hold(&mut self, length: usize) {
        let bytes: Vec<u8> = self.err.drain(..length).collect();
        self.held.push_str(&String::from_utf8_lossy(&bytes));
    }

    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.items.push(Item::Event(Event::Text { stream: Stream::Stderr, text: held }));
        }
    }

    fn text(&mut self, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        self.settle();
        if let Some(Item::Event(Event::Text { stream: last, text: before })) = self.items.last_mut()
            && *last == stream
        {
            before.push_str(text);
        } else {
            self.items.push(Item::Event(Event::Text { stream, text: text.to_owned() }));
        }
    }
}

fn message(content: Message) -> Item {
    Item::Event(Event::Message { content })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// How many of the bytes are whole characters: the beginning of one at the end waits for its rest.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests;
