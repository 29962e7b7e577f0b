//! The socket on which every client hears what the kernel does.

use bytes::Bytes;
use jupyter_protocol::{IoPubWelcome, JupyterMessage, JupyterMessageContent, Status};
use jupyter_zmq_client::{KernelIoPubXPubConnection, SubscriptionEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connection::pause_after_error;
use super::request::reply;

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
    loop {
        tokio::select! {
            message = messages.recv() => match message.flatten() {
                Some(message) => {
                    if let Err(error) = socket.send(message).await {
                        eprintln!("a message could not be published: {error}");
                    }
                }
                None => break,
            },
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
        }
    }
}
