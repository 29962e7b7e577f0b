//! A client of the kernel: starts it, speaks to it through its sockets, and notes what comes when.

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{self, Child, Command};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jupyter_protocol::{
    ConnectionInfo, ExecuteReply, ExecuteRequest, ExecutionState, InputReply, InterruptRequest,
    JupyterMessage, JupyterMessageContent, KernelInfoRequest, MediaType, Stdio, Transport,
};
use jupyter_zmq_client::{
    ClientControlConnection, ClientIoPubConnection, ClientShellConnection,
    create_client_control_connection, create_client_iopub_connection,
    create_client_shell_connection_with_identity, create_client_stdin_connection_with_identity,
    peek_ports_with_listeners, peer_identity_for_session,
};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// A first start may have to compile the notebooks' dependencies.
const START: Duration = Duration::from_secs(3000);
/// No cell of the tests takes longer, on a busy machine either.
const CELL: Duration = Duration::from_secs(300);

/// A running kernel and the client's ends of its sockets.
pub struct Session {
    runtime: Runtime,
    kernel: Child,
    pub connection: ConnectionInfo,
    session: String,
    file: PathBuf,
    shell: ClientShellConnection,
    iopub: ClientIoPubConnection,
    control: ClientControlConnection,
    /// What the very first cell of the kernel was answered.
    pub first: Cell,
}

/// A cell that was run.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it showed, each with the time since the request.
    pub outputs: Vec<(Duration, JupyterMessageContent)>,
    pub reply: ExecuteReply,
    pub took: Duration,
}

impl Cell {
    /// What it printed to a stream.
    pub fn printed(&self, wanted_stderr: bool) -> String {
        let text = |content: &JupyterMessageContent| match content {
            JupyterMessageContent::StreamContent(stream)
                if matches!(stream.name, Stdio::Stderr) == wanted_stderr =>
            {
                Some(stream.text.clone())
            }
            _ => None,
        };
        self.outputs.iter().filter_map(|(_, content)| text(content)).collect()
    }

    /// The plain text of the cell's value.
    pub fn value(&self) -> Option<String> {
        self.outputs.iter().find_map(|(_, content)| match content {
            JupyterMessageContent::ExecuteResult(result) => plain(&result.data.content),
            _ => None,
        })
    }

    /// The name of the error it was answered with.
    pub fn error(&self) -> &str {
        self.reply.error.as_ref().map_or("", |error| &error.ename)
    }

    /// Everything that was said about the error.
    pub fn explanation(&self) -> String {
        let error = self.reply.error.as_ref().expect("the cell was answered with an error");
        format!("{}: {}\n{}", error.ename, error.evalue, error.traceback.join("\n"))
    }
}

/// The plain text among the formats of an output.
pub fn plain(formats: &[MediaType]) -> Option<String> {
    formats.iter().find_map(|format| match format {
        MediaType::Plain(text) => Some(text.clone()),
        _ => None,
    })
}

/// The kernel that the tests share, one test at a time.
pub fn session() -> MutexGuard<'static, Session> {
    static SESSION: LazyLock<Mutex<Session>> = LazyLock::new(|| Mutex::new(Session::start()));
    SESSION.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Starts a kernel and runs a first cell.
    pub fn start() -> Self {
        Self::start_with(process::Stdio::inherit())
    }

    /// The same for a kernel that will be told so much nonsense that nobody wants to read its complaints.
    pub fn start_quietly() -> Self {
        Self::start_with(process::Stdio::null())
    }

    /// The memory of the kernel's own process, in bytes; 0 where the system does not tell.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.kernel.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) << 10
    }

    fn start_with(complaints: process::Stdio) -> Self {
        let runtime = Runtime::new().expect("threads");
        let (connection, file) = runtime.block_on(connection_file());
        let kernel = Command::new(env!("CARGO_BIN_EXE_scorebook"))
            .arg("kernel")
            .arg("-f")
            .arg(&file)
            // By this the kernel knows that it is to end with its parent.
            .env("JPY_PARENT_PID", std::process::id().to_string())
            .stderr(complaints)
            .spawn()
            .expect("the kernel starts");
        let session = uuid::Uuid::new_v4().to_string();
        let (shell, iopub, control) = runtime.block_on(connect(&connection, &session));
        let first =
            Cell { outputs: Vec::new(), reply: ExecuteReply::default(), took: Duration::ZERO };
        let mut session =
            Self { runtime, kernel, connection, session, file, shell, iopub, control, first };
        // Shown as what it says it is, though a `?` stands in the very first expression.
        let first = "Ok::<_, std::fmt::Error>(scorebook::notebook::Bundle::text(\"5\"))?";
        session.first = session.request(ExecuteRequest::new(first.into()), START, |_| None);
        session
    }

    /// Runs a cell.
    pub fn run(&mut self, code: &str) -> Cell {
        self.request(ExecuteRequest::new(code.into()), CELL, |_| None)
    }

    /// Runs a cell and interrupts it as soon as it has printed `sign`; tells how long it took to stop.
    pub fn interrupt(&mut self, code: &str, sign: &str) -> (Cell, Duration) {
        let mut asked = None;
        let sees_sign = |content: &JupyterMessageContent| {
            let seen = matches!(content, JupyterMessageContent::StreamContent(stream) if stream.text.contains(sign));
            if seen && asked.is_none() {
                asked = Some(Instant::now());
                return Some(InterruptRequest {}.into());
            }
            None
        };
        let cell = self.request(ExecuteRequest::new(code.into()), CELL, sees_sign);
        let asked = asked.unwrap_or_else(|| panic!("the cell never printed `{sign}`"));
        (cell, asked.elapsed())
    }

    /// Sends a request to execute, and a control message whenever `react` has one to an output.
    pub fn request(
        &mut self,
        request: ExecuteRequest,
        patience: Duration,
        mut react: impl FnMut(&JupyterMessageContent) -> Option<JupyterMessageContent>,
    ) -> Cell {
        let Self { runtime, shell, iopub, control, .. } = self;
        runtime.block_on(async {
            let message: JupyterMessage = request.into();
            let id = message.header.msg_id.clone();
            let begun = Instant::now();
            shell.send(message).await.expect("the request is sent");
            let mut outputs = Vec::new();
            loop {
                let message = timeout(patience, iopub.read()).await;
                let message = message.expect("the cell ends in time").expect("a good message");
                if message.parent_header.is_none_or(|parent| parent.msg_id != id) {
                    continue;
                }
                if let JupyterMessageContent::Status(status) = &message.content {
                    if status.execution_state == ExecutionState::Idle {
                        break;
                    }
                    continue;
                }
                if let Some(reaction) = react(&message.content) {
                    control.send(reaction.into()).await.expect("the reaction is sent");
                }
                outputs.push((begun.elapsed(), message.content));
            }
            let took = begun.elapsed();
            let reply = reply_to(shell, &id).await;
            let JupyterMessageContent::ExecuteReply(reply) = reply else {
                panic!("not a reply to a cell: {reply:?}")
            };
            Cell { outputs, reply, took }
        })
    }

    /// Sends several cells at once; their replies.
    pub fn run_together(&mut self, cells: &[&str]) -> Vec<ExecuteReply> {
        let Self { runtime, shell, .. } = self;
        runtime.block_on(async {
            let mut ids = Vec::new();
            for code in cells {
                let message: JupyterMessage = ExecuteRequest::new((*code).into()).into();
                ids.push(message.header.msg_id.clone());
                shell.send(message).await.expect("the request is sent");
            }
            let mut replies = Vec::new();
            for id in ids {
                match reply_to(shell, &id).await {
                    JupyterMessageContent::ExecuteReply(reply) => replies.push(reply),
                    other => panic!("not a reply to a cell: {other:?}"),
                }
            }
            replies
        })
    }

    /// Runs a cell that prints `running`, and then puts the questions; their replies with the times they took, and the
    /// cell.
    pub fn ask_while(
        &mut self,
        code: &str,
        questions: Vec<JupyterMessageContent>,
    ) -> (Vec<(Duration, JupyterMessageContent)>, Cell) {
        let Self { runtime, shell, iopub, .. } = self;
        runtime.block_on(async {
            let begun = Instant::now();
            let message: JupyterMessage = ExecuteRequest::new(code.into()).into();
            let id = message.header.msg_id.clone();
            shell.send(message).await.expect("the request is sent");
            loop {
                let message = timeout(CELL, iopub.read()).await.expect("the cell runs in time");
                let content = message.expect("a good message").content;
                if matches!(content, JupyterMessageContent::StreamContent(text) if text.text.contains("running"))
                {
                    break;
                }
            }
            let mut replies = Vec::new();
            for question in questions {
                let asked = Instant::now();
                let message: JupyterMessage = question.into();
                let id = message.header.msg_id.clone();
                shell.send(message).await.expect("the request is sent");
                let reply = reply_to(shell, &id).await;
                replies.push((asked.elapsed(), reply));
            }
            let JupyterMessageContent::ExecuteReply(reply) = reply_to(shell, &id).await else {
                panic!("not a reply to a cell")
            };
            (replies, Cell { outputs: Vec::new(), reply, took: begun.elapsed() })
        })
    }

    /// Runs a cell that asks a question, and answers it; the prompt, whether the answer is a secret, and the cell.
    pub fn answer(&mut self, code: &str, answer: &str) -> ((String, bool), Cell) {
        let identity = peer_identity_for_session(&self.session).expect("an identity");
        let connection = self.connection.clone();
        let (asked, question) = std::sync::mpsc::channel();
        let (session, answer) = (self.session.clone(), answer.to_owned());
        self.runtime.spawn(async move {
            let mut stdin =
                create_client_stdin_connection_with_identity(&connection, &session, identity)
                    .await
                    .expect("a connection");
            let request = stdin.read().await.expect("a question");
            let JupyterMessageContent::InputRequest(question) = &request.content else {
                panic!("not a question: {:?}", request.content)
            };
            let _ = asked.send((question.prompt.clone(), question.password));
            let reply = InputReply { value: answer, ..InputReply::default() };
            stdin.send(JupyterMessage::new(reply, Some(&request))).await.expect("it is sent");
            // The socket hands its message on before it is closed.
            tokio::time::sleep(Duration::from_millis(200)).await;
        });
        // The client listens before the kernel asks.
        std::thread::sleep(Duration::from_millis(200));
        let request = ExecuteRequest { allow_stdin: true, ..ExecuteRequest::new(code.into()) };
        let cell = self.request(request, CELL, |_| None);
        (question.try_recv().expect("a question was put"), cell)
    }

    /// Any other request on the shell socket; its reply.
    pub fn ask(&mut self, content: impl Into<JupyterMessageContent>) -> JupyterMessageContent {
        let message: JupyterMessage = content.into().into();
        let id = message.header.msg_id.clone();
        let Self { runtime, shell, .. } = self;
        runtime.block_on(async {
            shell.send(message).await.expect("the request is sent");
            reply_to(shell, &id).await
        })
    }

    /// Sends a request to execute that is signed with another key.
    pub fn send_forged(&self, code: &str) {
        let forged = ConnectionInfo { key: "another key".into(), ..self.connection.clone() };
        self.runtime.block_on(async {
            let identity = peer_identity_for_session("forger").expect("an identity");
            let mut shell =
                create_client_shell_connection_with_identity(&forged, "forger", identity)
                    .await
                    .expect("a connection");
            shell.send(ExecuteRequest::new(code.into()).into()).await.expect("it is sent");
            // The socket hands its message on before it is closed.
            tokio::time::sleep(Duration::from_millis(200)).await;
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.kernel.kill();
        let _ = self.kernel.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

async fn reply_to(shell: &mut ClientShellConnection, id: &str) -> JupyterMessageContent {
    loop {
        let message = timeout(CELL, shell.read()).await;
        let message = message.expect("a reply comes in time").expect("a good message");
        if message.parent_header.is_some_and(|parent| parent.msg_id == id) {
            return message.content;
        }
    }
}

async fn connection_file() -> (ConnectionInfo, PathBuf) {
    let (ports, _listeners) =
        peek_ports_with_listeners(Ipv4Addr::LOCALHOST.into(), 5).await.expect("free ports");
    let connection = ConnectionInfo {
        ip: "127.0.0.1".into(),
        transport: Transport::TCP,
        shell_port: ports[0],
        iopub_port: ports[1],
        stdin_port: ports[2],
        control_port: ports[3],
        hb_port: ports[4],
        key: uuid::Uuid::new_v4().to_string(),
        signature_scheme: "hmac-sha256".into(),
        kernel_name: Some("scorebook".into()),
    };
    let file = std::env::temp_dir().join(format!("scorebook-test-{}.json", uuid::Uuid::new_v4()));
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(&file).expect("a file");
    out.write_all(&serde_json::to_vec(&connection).expect("JSON")).expect("it is written");
    (connection, file)
}

/// Connects as soon as the kernel has bound its sockets, and waits until its outputs are heard.
async fn connect(
    connection: &ConnectionInfo,
    session: &str,
) -> (ClientShellConnection, ClientIoPubConnection, ClientControlConnection) {
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", connection.hb_port)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the kernel never opened its sockets");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut iopub =
        create_client_iopub_connection(connection, "", session).await.expect("a connection");
    let identity = peer_identity_for_session(session).expect("an identity");
    let mut shell = create_client_shell_connection_with_identity(connection, session, identity)
        .await
        .expect("a connection");
    let control =
        create_client_control_connection(connection, session).await.expect("a connection");
    // The welcome tells that the subscription has arrived; asking works with any kernel.
    loop {
        shell.send(KernelInfoRequest {}.into()).await.expect("the request is sent");
        if timeout(Duration::from_secs(1), iopub.read()).await.is_ok() {
            break;
        }
    }
    (shell, iopub, control)
}
