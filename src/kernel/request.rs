//! Requests and their replies.

use jupyter_protocol::{JupyterMessage, JupyterMessageContent};
use jupyter_zmq_client::{RouterRecvConnection, RouterSendConnection};

use super::connection::pause_after_error;

/// The version of the messaging protocol that this kernel speaks.
pub(super) const PROTOCOL: &str = "5.4";

/// A message with `content`, as a consequence of `parent`.
pub(super) fn reply(
    content: impl Into<JupyterMessageContent>,
    parent: Option<&JupyterMessage>,
) -> JupyterMessage {
    let mut message = JupyterMessage::new(content, parent);
    message.header.username = "scorebook".into();
    message.header.version = PROTOCOL.into();
    message
}

/// Sends the reply to `parent` on its own socket.
pub(super) async fn answer(
    socket: &mut RouterSendConnection,
    content: impl Into<JupyterMessageContent>,
    parent: &JupyterMessage,
) {
    if let Err(error) = socket.send(reply(content, Some(parent))).await {
        eprintln!("a reply could not be sent: {error}");
    }
}

/// The next message that is well formed and signed with the connection's key; others are dropped.
pub(super) async fn next(socket: &mut RouterRecvConnection) -> JupyterMessage {
    loop {
        match socket.read().await {
            Ok(message) => return message,
            Err(error) => {
                eprintln!("a message was dropped: {error}");
                pause_after_error().await;
            }
        }
    }
}
