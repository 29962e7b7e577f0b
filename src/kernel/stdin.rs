//! Questions of a cell to the reader.

use jupyter_protocol::{InputRequest, JupyterMessage, JupyterMessageContent};
use jupyter_zmq_client::KernelStdinConnection;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot::Sender;

use super::request::{next, reply};
use super::wire::Checkpoint;

/// A question, asked by the cell that `parent` requested.
pub(super) struct Question {
    pub(super) prompt: String,
    pub(super) password: bool,
    pub(super) parent: JupyterMessage,
    /// Where the answer goes, or why there is none. Whoever drops the other end waits for it no longer.
    pub(super) answer: Sender<Result<String, String>>,
}

/// Asks the questions that are sent to it, one after another.
pub(super) fn serve(
    socket: KernelStdinConnection,
    checkpoint: Checkpoint,
) -> UnboundedSender<Question> {
    let (sender, mut questions) = unbounded_channel::<Question>();
    tokio::spawn(async move {
        let (mut asking, mut answers) = socket.split();
        loop {
            let question = tokio::select! {
                question = questions.recv() => question,
                // An answer to no question.
                _ = next(&mut answers, &checkpoint) => continue,
            };
            let Some(Question { prompt, password, parent, mut answer }) = question else { break };
            let request = reply(InputRequest { prompt, password }, Some(&parent));
            let id = request.header.msg_id.clone();
            if let Err(error) = asking.send(request).await {
                let _ = answer.send(Err(format!("the client does not listen ({error})")));
                continue;
            }
            loop {
                let message = tokio::select! {
                    request = next(&mut answers, &checkpoint) => request.message,
                    // An interrupt, or the end of the process: an answer that still comes is to no question.
                    () = answer.closed() => break,
                };
                let is_of_another = message.parent_header.is_some_and(|parent| parent.msg_id != id);
                if let JupyterMessageContent::InputReply(reply) = message.content
                    && !is_of_another
                {
                    let _ = answer.send(Ok(reply.value));
                    break;
                }
            }
        }
    });
    sender
}
