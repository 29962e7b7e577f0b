//! Requests and their replies.

use jupyter_protocol::{JupyterMessage, JupyterMessageContent, UnknownMessage};
use jupyter_zmq_client::{RouterRecvConnection, RouterSendConnection};
use zeromq::SocketRecv;

use super::connection::pause_after_error;
use super::wire::{Checkpoint, Request};

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

/// The next message that is signed with the connection's key and has not come before; others are dropped.
pub(super) async fn next(socket: &mut RouterRecvConnection, checkpoint: &Checkpoint) -> Request {
    loop {
        match socket.socket.recv().await {
            Ok(frames) => match checkpoint.pass(frames.into_vec()) {
                Ok(request) => return request,
                Err(why) => eprintln!("a message was dropped: {why}"),
            },
            Err(error) => {
                eprintln!("a message could not be read: {error}");
                pause_after_error().await;
            }
        }
    }
}

/// The reply to a request that cannot be understood or that no one here knows: an error of the type that is waited
/// for. None to a message that is no request.
pub(super) fn refusal(kind: &str, name: &str, text: &str) -> Option<JupyterMessageContent> {
    let kind = kind.strip_suffix("_request")?;
    let content = serde_json::json!({
        "status": "error", "ename": name, "evalue": text, "traceback": [format!("{name}: {text}")],
    });
    let msg_type = format!("{kind}_reply");
    Some(JupyterMessageContent::UnknownMessage(UnknownMessage { msg_type, content }))
}
