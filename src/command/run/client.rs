//! A kernel of our own and the sockets to it: started, asked, interrupted, ended.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jupyter_protocol::{
    ConnectionInfo, ExecuteRequest, InterruptRequest, JupyterMessage, JupyterMessageContent,
    KernelInfoReply, KernelInfoRequest, ShutdownRequest, Transport,
};
use jupyter_zmq_client as sockets;
use tokio::process::Child;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::command::process::Descendants;

/// How long a kernel may take until it answers.
const START: Duration = Duration::from_secs(300);

/// A message from the kernel, with the socket it came by.
pub enum Incoming {
    Shell(JupyterMessage),
    IoPub(JupyterMessage),
}

/// A kernel that runs, and the client's ends of its sockets.
pub struct Kernel {
    process: Child,
    shell: sockets::DealerSendConnection,
    control: sockets::ClientControlConnection,
    incoming: UnboundedReceiver<Incoming>,
    /// What the kernel says about itself.
    pub info: Box<KernelInfoReply>,
    /// Whether it does not stop when interrupted, so that asking it to end is no use.
    pub is_stuck: bool,
    /// Holds the connection file and the log; goes with the kernel.
    folder: PrivateFolder,
}

impl Kernel {
    /// Starts a kernel with the command that `command` gives for a connection file, and waits until
    /// it answers on both sockets.
    pub async fn start(command: impl FnOnce(&Path) -> Result<Command>) -> Result<Self> {
        let folder = PrivateFolder::create()?;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (ports, reserved) = sockets::peek_ports_with_listeners(address, 5).await?;
        let connection = ConnectionInfo {
            transport: Transport::TCP,
            ip: address.to_string(),
            shell_port: ports[0],
            iopub_port: ports[1],
            stdin_port: ports[2],
            control_port: ports[3],
            hb_port: ports[4],
            key: Uuid::new_v4().to_string(),
            signature_scheme: "hmac-sha256".into(),
            kernel_name: None,
        };
        let file = folder.0.join("connection.json");
        folder.write(&file, &serde_json::to_vec(&connection)?)?;
        let log = folder.log();
        folder.write(&log, b"")?;
        let output = OpenOptions::new().append(true).open(&log)?;

        let mut command = command(&file)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Kernels watch for this process and end when it has gone.
        command.env("JPY_PARENT_PID", std::process::id().to_string());
        let mut command = tokio::process::Command::from(command);
        // A group of its own: Ctrl-C in the terminal is for us, and we interrupt it by message.
        command.process_group(0).kill_on_drop(true);
        drop(reserved);
        let mut process = command.spawn().with_context(|| {
            format!("cannot start the kernel {}", command.as_std().get_program().display())
        })?;

        let ready = timeout(START, connect(&connection));
        let (shell, control, incoming, info) = tokio::select! {
            ready = ready => match ready {
                Ok(ready) => ready?,
                Err(_) => bail!("the kernel has not answered in {} s{}", START.as_secs(), folder.last_lines()),
            },
            status = process.wait() => {
                bail!("the kernel ended at its start ({}){}", status?, folder.last_lines())
            }
        };
        Ok(Self { process, shell, control, incoming, info, is_stuck: false, folder })
    }

    /// Asks the kernel to run a cell; gives the id that its messages will name as their parent.
    pub async fn execute(&mut self, code: String, stop_on_error: bool) -> Result<String> {
        let request = ExecuteRequest { code, stop_on_error, ..Default::default() };
        let request = JupyterMessage::from(request);
        let id = request.header.msg_id.clone();
        self.shell.send(request).await?;
        Ok(id)
    }

    /// The next message; an error that tells how it ended if the kernel is no more.
    pub async fn next(&mut self) -> Result<Incoming> {
        tokio::select! {
            // What it said before its end comes first.
            biased;
            Some(message) = self.incoming.recv() => Ok(message),
            status = self.process.wait() => {
                bail!("the kernel has died ({}){}", status?, self.folder.last_lines())
            }
        }
    }

    /// Asks the kernel to leave the running cell.
    pub async fn interrupt(&mut self) -> Result<()> {
        Ok(self.control.send(InterruptRequest {}.into()).await?)
    }

    /// Ends the kernel: asks it, gives it `patience` to end, then ends it and all that it started.
    pub async fn shut_down(mut self, patience: Duration) {
        let earlier = self.process.id().map(Descendants::of);
        let _ = self.control.send(ShutdownRequest { restart: false }.into()).await;
        let _ = timeout(patience, self.process.wait()).await;
        let now = self.process.id().map(Descendants::of);
        let _ = self.process.kill().await;
        for descendants in [earlier, now].into_iter().flatten() {
            descendants.kill();
        }
    }
}

type Connected = (
    sockets::DealerSendConnection,
    sockets::ClientControlConnection,
    UnboundedReceiver<Incoming>,
    Box<KernelInfoReply>,
);

/// Connects to a kernel that may not listen yet, and waits until it has answered a request and
/// its broadcasts arrive: a subscription takes effect only some time after it was asked for.
async fn connect(connection: &ConnectionInfo) -> Result<Connected> {
    let session = Uuid::new_v4().to_string();
    let identity = sockets::peer_identity_for_session(&session)?;
    let mut iopub =
        patiently(|| sockets::create_client_iopub_connection(connection, "", &session)).await?;
    let shell = patiently(|| {
        let identity = identity.clone();
        sockets::create_client_shell_connection_with_identity(connection, &session, identity)
    });
    let (mut shell, mut replies) = shell.await?.split();
    let control =
        patiently(|| sockets::create_client_control_connection(connection, &session)).await?;

    // A task for each socket: reading must not be broken off half-way through a message.
    let (send, mut incoming) = unbounded_channel();
    let send_reply = send.clone();
    tokio::spawn(async move {
        loop {
            if !forward(replies.read().await, Incoming::Shell, &send_reply).await {
                break;
            }
        }
    });
    tokio::spawn(async move {
        loop {
            if !forward(iopub.read().await, Incoming::IoPub, &send).await {
                break;
            }
        }
    });

    let (mut info, mut heard) = (None, false);
    loop {
        shell.send(KernelInfoRequest {}.into()).await?;
        let patience = Instant::now() + Duration::from_secs(1);
        loop {
            tokio::select! {
                message = incoming.recv() => match message {
                    Some(Incoming::Shell(JupyterMessage {
                        content: JupyterMessageContent::KernelInfoReply(reply), ..
                    })) => info = Some(reply),
                    Some(Incoming::IoPub(_)) => heard = true,
                    Some(_) => {}
                    None => bail!("the kernel has closed its sockets"),
                },
                () = tokio::time::sleep_until(patience) => break,
            }
            if let (Some(info), true) = (info.take_if(|_| heard), heard) {
                return Ok((shell, control, incoming, info));
            }
        }
    }
}

/// Hands a message on. A broken one is passed over, as the protocol asks; false at the end.
async fn forward(
    message: sockets::Result<JupyterMessage>,
    wrap: fn(JupyterMessage) -> Incoming,
    send: &UnboundedSender<Incoming>,
) -> bool {
    match message {
        Ok(message) => send.send(wrap(message)).is_ok(),
        Err(sockets::RuntimeError::ZmqError(_)) => {
            sleep(Duration::from_millis(100)).await;
            !send.is_closed()
        }
        Err(_) => true,
    }
}

/// Tries to connect until it works. Each try retries within itself, but ever more rarely.
async fn patiently<T, F>(mut connect: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = sockets::Result<T>>,
{
    loop {
        if let Ok(connected) = timeout(Duration::from_secs(2), connect()).await {
            return Ok(connected?);
        }
    }
}

/// A folder for one kernel that only this user can enter, removed at the end.
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    fn create() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("scorebook-{}", Uuid::new_v4().simple()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn write(&self, path: &Path, contents: &[u8]) -> Result<()> {
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
        let mut file = options.open(path).with_context(|| path.display().to_string())?;
        Ok(file.write_all(contents)?)
    }

    fn log(&self) -> PathBuf {
        self.0.join("kernel.log")
    }

    /// The last lines that the kernel wrote to its log, as the end of an error message.
    fn last_lines(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n");
        if last.is_empty() { last } else { format!(":\n{last}") }
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
