//! Requests that are answered in their order: cells, completions and the like.

use std::collections::HashMap;

use jupyter_protocol::{
    CodeMirrorMode, CommInfoReply, DisplayData, ExecuteInput, ExecuteReply, ExecuteRequest,
    ExecutionCount, HelpLink, JupyterMessage, JupyterMessageContent, KernelInfoReply, LanguageInfo,
    MediaType, ReplyStatus, Transient, UpdateDisplayData,
};
use jupyter_zmq_client::{KernelShellConnection, RouterSendConnection};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::completeness::is_complete;
use super::evaluation::{Cell, Evaluator};
use super::failure::Failure;
use super::history::History;
use super::publisher::Publisher;
use super::request::{PROTOCOL, answer, next};
use super::stdin::Question;

/// Answers for as long as the kernel lives.
pub(super) async fn serve(
    socket: KernelShellConnection,
    publisher: Publisher,
    evaluator: Evaluator,
    questions: UnboundedSender<Question>,
) {
    let (replies, mut requests) = socket.split();
    let (queue, mut waiting) = unbounded_channel();
    tokio::spawn(async move { while queue.send(next(&mut requests).await).is_ok() {} });
    let mut shell =
        Shell { replies, publisher, evaluator, questions, count: 0, history: History::default() };
    while let Some(message) = waiting.recv().await {
        if !shell.handle(&message, false).await {
            // The cells that were sent together with the failed one are not run.
            while let Ok(message) = waiting.try_recv() {
                shell.handle(&message, true).await;
            }
        }
    }
}

struct Shell {
    replies: RouterSendConnection,
    publisher: Publisher,
    evaluator: Evaluator,
    questions: UnboundedSender<Question>,
    /// The number of the last cell.
    count: usize,
    history: History,
}

impl Shell {
    /// Answers one request; tells whether those behind it are to be answered too. Cells are not run
    /// while `aborting`.
    async fn handle(&mut self, message: &JupyterMessage, aborting: bool) -> bool {
        self.publisher.busy(message);
        let mut go_on = true;
        let reply: Option<JupyterMessageContent> = match &message.content {
            JupyterMessageContent::ExecuteRequest(request) => {
                let (reply, stop) = if aborting {
                    (self.aborted(), false)
                } else {
                    self.execute(message, request).await
                };
                go_on = !stop;
                Some(reply.into())
            }
            JupyterMessageContent::KernelInfoRequest(_) => Some(kernel_info().into()),
            JupyterMessageContent::CompleteRequest(request) => {
                let found = self.evaluator.complete(&request.code, request.cursor_pos).await;
                Some(found.unwrap_or_default().into())
            }
            JupyterMessageContent::InspectRequest(request) => {
                let found = self.evaluator.inspect(&request.code, request.cursor_pos).await;
                Some(found.unwrap_or_default().into())
            }
            JupyterMessageContent::IsCompleteRequest(request) => {
                Some(is_complete(&request.code).into())
            }
            JupyterMessageContent::HistoryRequest(request) => {
                Some(self.history.answer(request).into())
            }
            JupyterMessageContent::CommInfoRequest(_) => Some(CommInfoReply::default().into()),
            _ => None,
        };
        if let Some(reply) = reply {
            answer(&mut self.replies, reply, message).await;
        }
        self.publisher.idle(message);
        go_on
    }

    /// Runs a cell; the flag tells whether the cells behind it are to be given up.
    async fn execute(
        &mut self,
        message: &JupyterMessage,
        request: &ExecuteRequest,
    ) -> (ExecuteReply, bool) {
        if !request.silent && request.store_history {
            self.count += 1;
            self.history.add(self.count, &request.code);
        }
        let execution_count = ExecutionCount::new(self.count);
        if !request.silent {
            let input = ExecuteInput { code: request.code.clone(), execution_count };
            self.publisher.send(input, Some(message));
        }
        let outcome = self.run(message, request).await;
        let mut reply = ExecuteReply {
            execution_count,
            user_expressions: Some(HashMap::new()),
            ..ExecuteReply::default()
        };
        if let Err(failure) = &outcome {
            if !request.silent {
                self.publisher.send(failure.output(), Some(message));
            }
            reply.status = ReplyStatus::Error;
            reply.error = Some(failure.reply());
        }
        (reply, outcome.is_err() && request.stop_on_error)
    }

    async fn run(
        &mut self,
        message: &JupyterMessage,
        request: &ExecuteRequest,
    ) -> Result<(), Failure> {
        let mut outcome = self.evaluator.run(Cell {
            code: request.code.clone(),
            count: self.count,
            parent: message.clone(),
            silent: request.silent,
            questions: request.allow_stdin.then(|| self.questions.clone()),
        });
        let mut news = self.evaluator.news.clone();
        let mut notice = Notice { publisher: &self.publisher, message, id: None };
        loop {
            tokio::select! {
                outcome = &mut outcome => {
                    notice.finish();
                    return outcome.unwrap_or_else(|_| {
                        Err(Failure::message("the evaluation has ended; restart the kernel"))
                    });
                }
                Ok(()) = news.changed() => {
                    let text = news.borrow_and_update().clone();
                    if text.is_empty() {
                        continue;
                    }
                    notice.say(&format!("Preparing the notebooks' dependencies (once): {text}"));
                    // Cargo's lines come in bursts.
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn aborted(&self) -> ExecuteReply {
        ExecuteReply {
            status: ReplyStatus::Aborted,
            execution_count: ExecutionCount::new(self.count),
            ..ExecuteReply::default()
        }
    }
}

/// A line above the first cell's outputs that tells what it waits for.
struct Notice<'a> {
    publisher: &'a Publisher,
    message: &'a JupyterMessage,
    id: Option<String>,
}

impl Notice<'_> {
    fn say(&mut self, text: &str) {
        let text = MediaType::Plain(text.to_owned());
        if let Some(id) = &self.id {
            self.publisher.send(UpdateDisplayData::new(text.into(), id), Some(self.message));
        } else {
            let id = uuid::Uuid::new_v4().to_string();
            let mut display = DisplayData::new(text.into());
            display.transient = Some(Transient { display_id: Some(id.clone()) });
            self.publisher.send(display, Some(self.message));
            self.id = Some(id);
        }
    }

    fn finish(&mut self) {
        if self.id.is_some() {
            self.say("The notebooks' dependencies are prepared.");
        }
    }
}

/// Who this kernel is.
pub(super) fn kernel_info() -> KernelInfoReply {
    let link = |text: &str, url: &str| HelpLink { text: text.into(), url: url.into() };
    KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: PROTOCOL.into(),
        implementation: "scorebook".into(),
        implementation_version: env!("CARGO_PKG_VERSION").into(),
        language_info: LanguageInfo {
            name: "rust".into(),
            version: env!("CARGO_PKG_RUST_VERSION").into(),
            mimetype: Some("text/rust".into()),
            file_extension: Some(".rs".into()),
            pygments_lexer: Some("rust".into()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".into())),
            nbconvert_exporter: Some("rust".into()),
        },
        banner: format!(
            "scorebook {}: Rust, candle, and the way from one random number to generated images",
            env!("CARGO_PKG_VERSION")
        ),
        help_links: vec![
            link("The Rust standard library", "https://doc.rust-lang.org/std/"),
            link("candle", "https://docs.rs/candle-core"),
            link("scorebook", env!("CARGO_PKG_REPOSITORY")),
        ],
        debugger: false,
        error: None,
    }
}
