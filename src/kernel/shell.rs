//! Requests that are answered in their order: cells, completions and the like.
//!
//! While a cell runs, only the cells behind it wait. Everything else is answered at once, with what is known without
//! the evaluation thread ([`Names`](super::names::Names)).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jupyter_protocol::{
    CodeMirrorMode, CommClose, CommInfoReply, DisplayData, ExecuteInput, ExecuteReply,
    ExecuteRequest, ExecutionCount, ExpressionResult, HelpLink, JupyterMessage,
    JupyterMessageContent, KernelInfoReply, LanguageInfo, MediaType, Payload, ReplyStatus,
    ShutdownReply, Transient, UpdateDisplayData,
};
use jupyter_zmq_client::{KernelShellConnection, RouterSendConnection};
use scorebook::notebook::Bundle;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::completeness::is_complete;
use super::evaluation::{Cell, Evaluated, Evaluator};
use super::failure::Failure;
use super::history::History;
use super::output::media;
use super::publisher::Publisher;
use super::request::{PROTOCOL, answer, next, refusal};
use super::stdin::Question;
use super::syntax;
use super::wire::{Checkpoint, Request};
use super::workshop::Toolchain;

/// Whoever waits for a completion longer than this gets what is known without rust-analyzer, which at first has to
/// look at all dependencies.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the shell needs of the rest of the kernel.
pub(super) struct Parts {
    pub(super) publisher: Publisher,
    pub(super) evaluator: Evaluator,
    pub(super) questions: UnboundedSender<Question>,
    pub(super) checkpoint: Checkpoint,
    /// Is told when the reader ends the kernel from a cell.
    pub(super) end: Arc<Notify>,
}

/// Answers for as long as the kernel lives.
pub(super) async fn serve(socket: KernelShellConnection, parts: Parts) {
    let (replies, mut requests) = socket.split();
    let (queue, waiting) = unbounded_channel();
    let checkpoint = parts.checkpoint.clone();
    tokio::spawn(
        async move { while queue.send(next(&mut requests, &checkpoint).await).is_ok() {} },
    );
    let mut shell = Shell {
        replies,
        waiting,
        behind: VecDeque::new(),
        parts,
        count: 0,
        history: History::default(),
    };
    while let Some(request) = shell.next().await {
        if !shell.handle(request, Mode::Idle).await {
            // The cells that were sent together with the failed one are not run.
            while let Some(request) =
                shell.behind.pop_front().or_else(|| shell.waiting.try_recv().ok())
            {
                shell.handle(request, Mode::Aborting).await;
            }
        }
    }
}

/// What else is going on while a request is answered.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Idle,
    /// A cell runs.
    Busy,
    /// A cell has failed, and those behind it are given up.
    Aborting,
}

struct Shell {
    replies: RouterSendConnection,
    waiting: UnboundedReceiver<Request>,
    /// The cells that came while another one ran.
    behind: VecDeque<Request>,
    parts: Parts,
    /// The number of the last cell.
    count: usize,
    history: History,
}

impl Shell {
    async fn next(&mut self) -> Option<Request> {
        match self.behind.pop_front() {
            Some(request) => Some(request),
            None => self.waiting.recv().await,
        }
    }

    /// Answers one request; tells whether those behind it are to be answered too.
    async fn handle(&mut self, request: Request, mode: Mode) -> bool {
        let Request { message, fault } = request;
        self.parts.publisher.busy(&message);
        let mut go_on = true;
        let reply = match (&message.content, fault) {
            (content, Some(fault)) => refusal(content.message_type(), "BadRequest", &fault),
            (JupyterMessageContent::ExecuteRequest(_), _) if mode == Mode::Aborting => {
                Some(self.aborted().into())
            }
            (JupyterMessageContent::ExecuteRequest(request), _) => {
                let (reply, stop) = self.execute(&message, request).await;
                go_on = !stop;
                Some(reply.into())
            }
            _ => self.inform(&message, mode).await,
        };
        if let Some(reply) = reply {
            answer(&mut self.replies, reply, &message).await;
        }
        self.parts.publisher.idle(&message);
        go_on
    }

    /// Answers a request for information.
    async fn inform(
        &mut self,
        message: &JupyterMessage,
        mode: Mode,
    ) -> Option<JupyterMessageContent> {
        let Parts { evaluator, publisher, end, .. } = &self.parts;
        let names = &evaluator.names;
        Some(match &message.content {
            JupyterMessageContent::KernelInfoRequest(_) => kernel_info().into(),
            JupyterMessageContent::CompleteRequest(request) => {
                let (code, cursor) = (&request.code, request.cursor_pos);
                let found = match mode {
                    Mode::Busy => None,
                    _ => in_time(evaluator.complete(code, cursor)).await,
                };
                found.unwrap_or_else(|| names.complete(code, cursor)).into()
            }
            JupyterMessageContent::InspectRequest(request) => {
                let (code, cursor) = (&request.code, request.cursor_pos);
                let found = match mode {
                    Mode::Busy => None,
                    _ => in_time(evaluator.inspect(code, cursor)).await,
                };
                found.unwrap_or_else(|| names.inspect(code, cursor)).into()
            }
            JupyterMessageContent::IsCompleteRequest(request) => is_complete(&request.code).into(),
            JupyterMessageContent::HistoryRequest(request) => self.history.answer(request).into(),
            JupyterMessageContent::CommInfoRequest(_) => CommInfoReply::default().into(),
            JupyterMessageContent::CommOpen(comm) => {
                // There is nobody here to speak to.
                let close = CommClose { comm_id: comm.comm_id.clone(), ..CommClose::default() };
                publisher.send(close, Some(message));
                return None;
            }
            // Old clients send it here.
            JupyterMessageContent::ShutdownRequest(request) => {
                end.notify_one();
                let (restart, status) = (request.restart, ReplyStatus::Ok);
                ShutdownReply { restart, status, error: None }.into()
            }
            content => {
                let kind = content.message_type();
                return refusal(kind, "UnknownRequest", &format!("{kind} is not known here"));
            }
        })
    }

    /// Runs a cell; the flag tells whether the cells behind it are to be given up.
    async fn execute(
        &mut self,
        message: &JupyterMessage,
        request: &ExecuteRequest,
    ) -> (ExecuteReply, bool) {
        let stored = !request.silent && request.store_history;
        if stored {
            self.count += 1;
            self.history.add(self.count, &request.code);
        }
        let execution_count = ExecutionCount::new(self.count);
        if !request.silent {
            let input = ExecuteInput { code: request.code.clone(), execution_count };
            self.parts.publisher.send(input, Some(message));
        }
        let mut reply = ExecuteReply {
            execution_count,
            user_expressions: Some(HashMap::new()),
            ..ExecuteReply::default()
        };
        match syntax::commands(&request.code).first() {
            // `evcxr` would end this process on the spot.
            Some(("quit", _)) => {
                reply.payload = vec![Payload::AskExit { keepkernel: false }];
                self.parts.end.notify_one();
                return (reply, true);
            }
            Some(("page", name)) => {
                let found = self.parts.evaluator.inspect(name, name.chars().count()).await;
                let data = found.unwrap_or_default().data;
                reply.payload = vec![Payload::Page { data, start: 0 }];
                return (reply, false);
            }
            _ => {}
        }
        let cell = Cell {
            code: request.code.clone(),
            count: self.count,
            parent: message.clone(),
            silent: request.silent,
            questions: request.allow_stdin.then(|| self.parts.questions.clone()),
        };
        match self.run(cell).await {
            Ok(value) => {
                if let (true, Some(value)) = (stored, &value) {
                    self.history.shown(value.get("text/plain").unwrap_or_default());
                }
                reply.user_expressions = Some(self.expressions(message, request).await);
                (reply, false)
            }
            Err(failure) => {
                if !request.silent {
                    self.parts.publisher.send(failure.output(), Some(message));
                }
                reply.status = ReplyStatus::Error;
                reply.error = Some(failure.reply());
                (reply, request.stop_on_error)
            }
        }
    }

    /// The values of what a client asks beside a cell, each evaluated after it.
    async fn expressions(
        &mut self,
        message: &JupyterMessage,
        request: &ExecuteRequest,
    ) -> HashMap<String, ExpressionResult> {
        let mut values = HashMap::new();
        for (name, code) in request.user_expressions.iter().flatten() {
            let cell = Cell {
                code: code.clone(),
                count: self.count,
                parent: message.clone(),
                silent: true,
                questions: None,
            };
            let value = match self.run(cell).await {
                Ok(value) => {
                    let data = media(value.unwrap_or_else(|| Bundle::text("()")));
                    ExpressionResult::Ok { data, metadata: serde_json::Map::new() }
                }
                Err(failure) => failure.expression(),
            };
            values.insert(name.clone(), value);
        }
        values
    }

    /// Runs a cell, and answers meanwhile what can be answered.
    async fn run(&mut self, cell: Cell) -> Evaluated {
        let message = cell.parent.clone();
        let publisher = self.parts.publisher.clone();
        let mut news = self.parts.evaluator.news.clone();
        let mut outcome = self.parts.evaluator.run(cell);
        let mut notice = Notice { publisher: &publisher, message: &message, id: None };
        loop {
            tokio::select! {
                outcome = &mut outcome => {
                    notice.finish();
                    return outcome.unwrap_or_else(|_| {
                        Err(Failure::message("the evaluation has ended; restart the kernel"))
                    });
                }
                Some(request) = self.waiting.recv() => {
                    if matches!(request.message.content, JupyterMessageContent::ExecuteRequest(_)) {
                        self.behind.push_back(request);
                    } else {
                        Box::pin(self.handle(request, Mode::Busy)).await;
                        // The cell still runs, which a client may take from the last state that it heard.
                        publisher.busy(&message);
                    }
                }
                Ok(()) = news.changed() => {
                    let text = news.borrow_and_update().clone();
                    if text.is_empty() {
                        continue;
                    }
                    notice.say(&format!("Preparing the notebooks' dependencies (once): {text}"));
                    // Cargo's lines come in bursts.
                    tokio::time::sleep(Duration::from_millis(200)).await;
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

/// The answer, if it comes within [`PATIENCE`].
async fn in_time<T>(answer: tokio::sync::oneshot::Receiver<T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
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

/// The version of the compiler; where there is none, of the one that the library needs.
static RELEASE: LazyLock<&str> = LazyLock::new(|| {
    let toolchain = Toolchain::find().ok();
    toolchain.and_then(Toolchain::release).unwrap_or(env!("CARGO_PKG_RUST_VERSION"))
});

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
            version: (*RELEASE).into(),
            mimetype: Some("text/rust".into()),
            file_extension: Some(".rs".into()),
            pygments_lexer: Some("rust".into()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".into())),
            nbconvert_exporter: Some("rust".into()),
        },
        banner: format!(
            "scorebook {} with Rust {}: candle, and the way from one random number to generated images.\n\
             `:help` lists the commands, `:vars` the variables.",
            env!("CARGO_PKG_VERSION"),
            *RELEASE
        ),
        help_links: vec![
            link("The Rust Book", "https://doc.rust-lang.org/book/"),
            link("The Rust standard library", "https://doc.rust-lang.org/std/"),
            link("candle", "https://docs.rs/candle-core"),
            link("scorebook", env!("CARGO_PKG_REPOSITORY")),
        ],
        debugger: false,
        error: None,
    }
}
