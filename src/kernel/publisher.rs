//! The socket on which every client hears what the kernel does.

use std::time::Duration;

use bytes::Bytes;
use jupyter_protocol::{
    ExecutionState, IoPubWelcome, JupyterMessage, JupyterMessageContent, Status, StreamContent,
};
use jupyter_zmq_client::{KernelIoPubXPubConnection, SubscriptionEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::connection::pause_after_error;
use super::request::reply;

/// Printed text is sent at most this often: a loop that prints is not to flood its reader.
const PERIOD: Duration = Duration::from_millis(15);
/// More text than this is not held back.
const FULL: usize = 1 << 18;

/// Sends messages to all clients, in the order in which they were handed in. Clones share the order.
#[derive(Clone)]
pub(super) struct Publisher {
    queue: UnboundedSender<Option<JupyterMessage>>,
}

impl Publisher {
    /// The publisher, and its messages for [`publish`].
    pub(super) fn new() -> (Self, Messages) {
        let (queue, messages) = unbounded_channel();
        (Self { queue }, messages)
    }

    /// Sends `content` as a consequence of `parent`.
    pub(super) fn send(
        &self,
        content: impl Into<JupyterMessageContent>,
        parent: Option<&JupyterMessage>,
    ) {
        let mut message = reply(content, parent);
        let topic = format!("kernel.{}", message.message_type());
        message.zmq_identities = vec![Bytes::from(topic)];
        // Nobody listens after the end.
        let _ = self.queue.send(Some(message));
    }

    /// Tells that the kernel has begun to live.
    pub(super) fn starting(&self) {
        self.send(Status { execution_state: ExecutionState::Starting }, None);
    }

    /// Tells that the kernel works on `parent`.
    pub(super) fn busy(&self, parent: &JupyterMessage) {
        self.send(Status::busy(), Some(parent));
    }

    /// Tells that everything about `parent` has been sent.
    pub(super) fn idle(&self, parent: &JupyterMessage) {
        self.send(Status::idle(), Some(parent));
    }

    /// No more messages.
    pub(super) fn close(&self) {
        let _ = self.queue.send(None);
    }
}

/// What is to be published; nothing after `None`.
pub(super) type Messages = UnboundedReceiver<Option<JupyterMessage>>;

/// Sends the messages, until the publisher is [closed](Publisher::close).
pub(super) async fn publish(mut socket: KernelIoPubXPubConnection, mut messages: Messages) {
    let mut held: Option<JupyterMessage> = None;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            biased;
            event = socket.recv_subscription() => match event {
                // A client that has been welcomed knows that it misses nothing from here on.
                Ok(SubscriptionEvent::Subscribe(topic)) => {
                    let mut welcome = reply(IoPubWelcome::new(topic.clone()), None);
                    welcome.zmq_identities = vec![Bytes::from(topic)];
                    let _ = socket.send(welcome).await;
                }
                Ok(SubscriptionEvent::Unsubscribe(_)) => {}
                Err(_) => pause_after_error().await,
            },
            message = messages.recv() => {
                let Some(message) = message.flatten() else { break };
                let rest = match &mut held {
                    Some(held) => join(held, message),
                    None => Some(message),
                };
                let Some(mut message) = rest else {
                    if held.as_ref().is_some_and(|held| text(held).len() >= FULL) {
                        due = Instant::now();
                    }
                    continue;
                };
                send(&mut socket, held.take()).await;
                if text(&message).is_empty() {
                    send(&mut socket, Some(message)).await;
                } else {
                    if let JupyterMessageContent::StreamContent(stream) = &mut message.content {
                        let whole = std::mem::take(&mut stream.text);
                        append(&mut stream.text, &whole);
                    }
                    due = due.max(Instant::now());
                    held = Some(message);
                }
            }
            () = sleep_until(due), if held.is_some() => {
                send(&mut socket, held.take()).await;
                due = Instant::now() + PERIOD;
            }
        }
    }
    send(&mut socket, held).await;
}

async fn send(socket: &mut KernelIoPubXPubConnection, message: Option<JupyterMessage>) {
    if let Some(message) = message
        && let Err(error) = socket.send(message).await
    {
        eprintln!("a message could not be published: {error}");
    }
}

/// The printed text that a message carries; none where it carries something else.
fn text(message: &JupyterMessage) -> &str {
    match &message.content {
        JupyterMessageContent::StreamContent(stream) => &stream.text,
        _ => "",
    }
}

/// Adds the text of `more` to the one of `held`; gives `more` back where it is no text of the same cell and stream.
fn join(held: &mut JupyterMessage, more: JupyterMessage) -> Option<JupyterMessage> {
    let id = |message: &JupyterMessage| {
        message.parent_header.as_ref().map(|parent| parent.msg_id.clone())
    };
    let same_cell = id(held) == id(&more);
    match (&mut held.content, &more.content) {
        (
            JupyterMessageContent::StreamContent(before),
            JupyterMessageContent::StreamContent(text),
        ) if same_cell && is_error(before) == is_error(text) && before.text.len() < FULL => {
            append(&mut before.text, &text.text);
            None
        }
        _ => Some(more),
    }
}

fn is_error(stream: &StreamContent) -> bool {
    matches!(stream.name, jupyter_protocol::Stdio::Stderr)
}

/// Adds `more` as a terminal would show it: what is covered after a carriage return is left out.
fn append(text: &mut String, more: &str) {
    for (i, part) in more.split('\r').enumerate() {
        if i > 0 && !text.ends_with('\r') {
            text.push('\r');
        }
        let covering = part.split('\n').next().unwrap_or_default().chars().count();
        if covering > 0
            && let Some(before) = text.strip_suffix('\r')
        {
            // The return itself stays: the line may have begun in an earlier message.
            let start = before.rfind(['\r', '\n']).map_or(0, |at| at + 1);
            if before[start..].chars().count() <= covering {
                let after_return = text[..start].ends_with('\r');
                text.truncate(start);
                if !after_return {
                    text.push('\r');
                }
            }
        }
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(pieces: &[&str]) -> String {
        let mut text = String::new();
        for piece in pieces {
            append(&mut text, piece);
        }
        text
    }

    #[test]
    fn what_is_covered_is_left_out() {
        assert_eq!(appended(&["a\n", "b"]), "a\nb");
        assert_eq!(appended(&["10 %", "\r20 %", "\r30 %"]), "\r30 %");
        assert_eq!(appended(&["x\n1\r2\r3\n", "4"]), "x\n\r3\n4");
        assert_eq!(appended(&["10 %\r", "20 %\r", "30 %\r"]), "\r30 %\r");
        // A shorter text covers only a part.
        assert_eq!(appended(&["100 %\r", "ok"]), "100 %\rok");
        assert_eq!(appended(&["a\r\nb\r\n"]), "a\r\nb\r\n");
    }

    #[test]
    fn only_text_of_one_cell_and_stream_is_joined() {
        let parent: JupyterMessage = Status::busy().into();
        let other: JupyterMessage = Status::busy().into();
        let out = |text: &str, parent| reply(StreamContent::stdout(text), Some(parent));
        let mut held = out("a", &parent);
        assert!(join(&mut held, out("b", &parent)).is_none());
        assert_eq!(text(&held), "ab");
        assert!(join(&mut held, out("c", &other)).is_some());
        assert!(join(&mut held, reply(StreamContent::stderr("c"), Some(&parent))).is_some());
        assert!(join(&mut held, Status::idle().as_child_of(&parent)).is_some());
    }
}
