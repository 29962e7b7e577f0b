//! Questions of a cell to the reader.

use std::sync::mpsc::Sender;

use jupyter_protocol::{InputRequest, JupyterMessage, JupyterMessageContent};
use jupyter_zmq_client::KernelStdinConnection;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::request::{answer, next};

/// A question, asked by the cell that `parent` requested.
pub(super) struct Question {
    pub(super) prompt: String,
    pub(super) password: bool,
    pub(super) parent: JupyterMessage,
    /// Where the answer goes.
    pub(super) answer: Sender<String>,
}

/// Asks the questions that are sent to it, one after another.
pub(super) fn serve(socket: KernelStdinConnection) -> UnboundedSender<Question> {
    let (sender, mut questions) = unbounded_channel::<Question>();
    tokio::spawn(async move {
        let (mut asking, mut answers) = socket.split();
        while let Some(question) = questions.recv().await {
            let request = InputRequest { prompt: question.prompt, password: question.password };
            answer(&mut asking, request, &question.parent).await;
            loop {
                let message = next(&mut answers).await;
                if let JupyterMessageContent::InputReply(reply) = message.content {
                    let _ = question.answer.send(reply.value);
                    break;
                }
            }
        }
    });
    sender
}
