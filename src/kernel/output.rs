//! From events of the cells to messages for the front end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use jupyter_protocol::{
    ClearOutput, DisplayData, ExecuteResult, ExecutionCount, JupyterMessage, JupyterMessageContent,
    Media, StreamContent, Transient, UpdateDisplayData,
};
use scorebook::notebook::Bundle;
use scorebook::notebook::channel::Message;

use super::event::{Event, Stream};
use super::interruption::Interruption;
use super::publisher::Publisher;

/// Publishes what the current cell shows, and remembers how it ended.
pub(super) struct Outputs {
    publisher: Publisher,
    interruption: Arc<Interruption>,
    cell: Mutex<Cell>,
}

/// The current cell.
#[derive(Default)]
struct Cell {
    /// The request that the outputs belong to; without one they are not published.
    parent: Option<JupyterMessage>,
    count: usize,
    ending: Ending,
    /// What the cell has written to standard error last: the text of a `?` whose notice came late.
    last_error: String,
    /// The value of its last expression.
    value: Option<Bundle>,
    /// The question that it asks, and whether the answer is a secret.
    question: Option<(String, bool)>,
}

/// How the code of a cell ended, as far as it told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Ending {
    /// It ran to its end (or never began).
    #[default]
    Fine,
    Panicked {
        text: String,
        location: String,
    },
    Failed(String),
    Skipped,
    Died(String),
}

impl Outputs {
    pub(super) fn new(publisher: Publisher, interruption: Arc<Interruption>) -> Self {
        Self { publisher, interruption, cell: Mutex::default() }
    }

    /// From now on outputs belong to `parent`, or to nobody.
    pub(super) fn begin(&self, parent: Option<JupyterMessage>, count: usize) {
        *self.cell() = Cell { parent, count, ..Cell::default() };
    }

    /// How the cell ended. Later outputs still belong to it, until the next one begins.
    pub(super) fn end(&self) -> Ending {
        std::mem::take(&mut self.cell().ending)
    }

    /// The value that the cell has shown.
    pub(super) fn value(&self) -> Option<Bundle> {
        self.cell().value.take()
    }

    /// The question that the cell has asked, and whether the answer is a secret.
    pub(super) fn question(&self) -> (String, bool) {
        self.cell().question.take().unwrap_or_default()
    }

    /// Shows `bundle` as the cell's value.
    pub(super) fn result(&self, bundle: Bundle) {
        let mut cell = self.cell();
        self.show(&mut cell, bundle);
    }

    fn cell(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, cell: &Cell, content: impl Into<JupyterMessageContent>) {
        if let Some(parent) = &cell.parent {
            self.publisher.send(content, Some(parent));
        }
    }

    fn show(&self, cell: &mut Cell, bundle: Bundle) {
        cell.value = Some(bundle.clone());
        let mut result = ExecuteResult::new(ExecutionCount::new(cell.count), media(bundle));
        result.transient = Some(Transient { display_id: None });
        self.publish(cell, result);
    }

    fn line(&self, line: String) {
        let event = Event::parse(&line)
            .unwrap_or_else(|| Event::Text { stream: Stream::Stdout, text: line + "\n" });
        self.event(event);
    }

    fn event(&self, event: Event) {
        let mut cell = self.cell();
        match event {
            Event::Started => self.interruption.started(),
            Event::Text { stream: Stream::Stdout, text } => {
                self.publish(&cell, StreamContent::stdout(&text));
            }
            Event::Text { stream: Stream::Stderr, text } => {
                self.publish(&cell, StreamContent::stderr(&text));
                cell.last_error = text;
            }
            Event::Message { content } => self.message(&mut cell, content),
            Event::Panicked { text, location } => {
                cell.ending = Ending::Panicked { text, location };
            }
            Event::Failed { text } if text.is_empty() => {
                cell.ending = Ending::Failed(cell.last_error.trim_end().to_owned());
            }
            Event::Failed { text } => cell.ending = Ending::Failed(text),
            Event::Skipped => cell.ending = Ending::Skipped,
            Event::Died { cause } => cell.ending = Ending::Died(cause),
        }
    }

    fn message(&self, cell: &mut Cell, content: Message) {
        match content {
            Message::Display { bundle, id } => {
                let mut display = DisplayData::new(media(bundle));
                display.transient = Some(Transient { display_id: id });
                self.publish(cell, display);
            }
            Message::Update { bundle, id } => {
                self.publish(cell, UpdateDisplayData::new(media(bundle), &id));
            }
            Message::Result { bundle } => self.show(cell, bundle),
            Message::ClearOutput { wait } => self.publish(cell, ClearOutput { wait }),
            Message::Question { prompt, password } => cell.question = Some((prompt, password)),
            // The sorter has dealt with these.
            Message::Panic { .. } | Message::Sync => {}
        }
    }
}

/// The formats of an output, with a plain text for clients that know no other.
pub(super) fn media(bundle: Bundle) -> Media {
    let bundle = match plain(&bundle) {
        Some(text) => bundle.with("text/plain", text),
        None => bundle,
    };
    let formats = bundle.formats().map(|(mime, content)| (mime.to_owned(), content.clone()));
    let object = serde_json::Value::Object(formats.collect());
    serde_json::from_value(object).unwrap_or_default()
}

/// What stands for an output that has no plain text.
fn plain(bundle: &Bundle) -> Option<String> {
    if bundle.get("text/plain").is_some() || bundle.is_empty() {
        return None;
    }
    let source = ["text/markdown", "text/latex"].iter().find_map(|mime| bundle.get(mime));
    if let Some(source) = source {
        return Some(source.to_owned());
    }
    if let Some(html) = bundle.get("text/html") {
        return Some(without_tags(html));
    }
    let (mime, content) = bundle.formats().next()?;
    Some(match mime {
        "application/json" => content.to_string(),
        _ => format!("<{mime}>"),
    })
}

/// The text of a piece of HTML.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, behind) = tag.split_once('>').unwrap_or((tag, ""));
        let ends_line =
            ["br", "/tr", "/p", "/div", "/li", "/h"].iter().any(|end| tag.starts_with(end));
        text.push(if ends_line { '\n' } else { ' ' });
        rest = behind;
    }
    text.push_str(rest);
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&amp;", "&")];
    let text = entities.iter().fold(text, |text, (name, sign)| text.replace(name, sign));
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Waits until everything that the cells have sent so far is published.
#[derive(Clone)]
pub(super) struct Barrier {
    requests: Sender<Sender<()>>,
}

impl Barrier {
    /// Blocks until then.
    pub(super) fn wait(&self) {
        let (done, signal) = bounded(1);
        if self.requests.send(done).is_ok() {
            let _ = signal.recv();
        }
    }
}

/// Publishes the lines of `evcxr`'s two channels, on a thread of its own.
pub(super) fn publish_all(
    outputs: Arc<Outputs>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
) -> Barrier {
    let (requests, barriers) = unbounded::<Sender<()>>();
    std::thread::spawn(move || {
        let error = |line: String| {
            outputs.event(Event::Text { stream: Stream::Stderr, text: line + "\n" });
        };
        loop {
            select! {
                recv(stdout) -> line => match line {
                    Ok(line) => outputs.line(line),
                    Err(_) => return,
                },
                recv(stderr) -> line => match line {
                    Ok(line) => error(line),
                    Err(_) => return,
                },
                recv(barriers) -> barrier => {
                    stdout.try_iter().for_each(|line| outputs.line(line));
                    stderr.try_iter().for_each(error);
                    match barrier {
                        Ok(barrier) => drop(barrier.send(())),
                        Err(_) => return,
                    }
                }
            }
        }
    });
    Barrier { requests }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_has_a_plain_text() {
        for (bundle, expected) in [
            (Bundle::html("<b>a</b> &lt; <i>b</i>"), "a < b"),
            (Bundle::markdown("$x$"), "$x$"),
            (Bundle::latex("$x$"), "$x$"),
            (Bundle::json(serde_json::json!({ "a": 1 })), "{\"a\":1}"),
            (Bundle::svg("<svg/>"), "<image/svg+xml>"),
            (Bundle::png(b"x"), "<image/png>"),
        ] {
            assert_eq!(plain(&bundle).as_deref(), Some(expected), "{bundle:?}");
        }
        assert_eq!(plain(&Bundle::html("<b>a</b>").with("text/plain", "b")), None);
        assert_eq!(media(Bundle::svg("<svg/>")).content.len(), 2);
    }
}
