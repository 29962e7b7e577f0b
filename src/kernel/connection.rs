//! The connection file and the sockets.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jupyter_protocol::Transport;
use jupyter_zmq_client::{
    ConnectionInfo, KernelControlConnection, KernelHeartbeatConnection, KernelIoPubXPubConnection,
    KernelShellConnection, KernelStdinConnection, create_kernel_control_connection,
    create_kernel_heartbeat_connection, create_kernel_iopub_xpub_connection,
    create_kernel_shell_connection, create_kernel_stdin_connection,
};

use super::gate;
use super::supervisor::LONGEST_PATH;

/// Reads the connection file that Jupyter wrote.
///
/// # Errors
/// The file is missing, is not JSON, lacks a port, or demands a signature that is not known.
pub(super) fn read(path: &Path) -> anyhow::Result<ConnectionInfo> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read the connection file {}. Jupyter writes it when it starts a kernel; \
             to start one by hand, use `jupyter console --kernel scorebook`",
            path.display()
        )
    })?;
    let connection: ConnectionInfo = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a Jupyter connection file", path.display()))?;
    if !connection.key.is_empty() && connection.signature_scheme != "hmac-sha256" {
        bail!(
            "{}: signature scheme `{}`; this kernel knows hmac-sha256 only",
            path.display(),
            connection.signature_scheme
        );
    }
    Ok(connection)
}

/// Says so if others than the reader can read the key in the connection file.
pub(super) fn warn_of_readers(path: &Path) {
    if fs::metadata(path).is_ok_and(|data| data.mode() & 0o077 != 0) {
        eprintln!(
            "{} can be read by other users, who can then run code in this kernel; \
             it should have the permissions 0600",
            path.display()
        );
    }
}

/// The folder of the sockets behind the gate, the reader's alone: in the kernel's own folder, or, where that has too
/// long a name, in the one for temporary files.
fn private_folder(kernel: &Path) -> anyhow::Result<PathBuf> {
    let mut folder = kernel.join("wire");
    if folder.as_os_str().len() + "/socket-65535".len() > LONGEST_PATH {
        folder = std::env::temp_dir().join(format!("scorebook-{}", std::process::id()));
    }
    let _ = fs::remove_dir_all(&folder);
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The kernel's five sockets, bound to the address of the connection file and no other.
pub(super) struct Sockets {
    pub(super) shell: KernelShellConnection,
    pub(super) control: KernelControlConnection,
    pub(super) stdin: KernelStdinConnection,
    pub(super) iopub: KernelIoPubXPubConnection,
    pub(super) heartbeat: KernelHeartbeatConnection,
    /// Where the sockets are, if they stand behind a gate.
    folder: Option<PathBuf>,
}

impl Sockets {
    /// Binds them, behind a [`gate`] where strangers can come: with TCP. Sockets that are files (IPC) are bound as they
    /// are. `kernel` is the kernel's folder.
    ///
    /// # Errors
    /// A port is taken, or the address is not this machine's.
    pub(super) async fn bind(connection: &ConnectionInfo, kernel: &Path) -> anyhow::Result<Self> {
        let session = uuid::Uuid::new_v4().to_string();
        let mut inner = connection.clone();
        let folder = match connection.transport {
            Transport::IPC => None,
            Transport::TCP => Some(private_folder(kernel)?),
        };
        if let Some(folder) = &folder {
            inner.transport = Transport::IPC;
            inner.ip = folder.join("socket").to_string_lossy().into_owned();
        }
        let cannot = "cannot bind the kernel's sockets";
        let sockets = Self {
            shell: create_kernel_shell_connection(&inner, &session).await.context(cannot)?,
            control: create_kernel_control_connection(&inner, &session).await.context(cannot)?,
            stdin: create_kernel_stdin_connection(&inner, &session).await.context(cannot)?,
            iopub: create_kernel_iopub_xpub_connection(&inner, &session).await.context(cannot)?,
            heartbeat: create_kernel_heartbeat_connection(&inner).await.context(cannot)?,
            folder,
        };
        if let Some(folder) = &sockets.folder {
            for port in ports(connection) {
                gate::open(&connection.ip, port, folder.join(format!("socket-{port}"))).await?;
            }
        }
        Ok(sockets)
    }

    /// What to remove when the kernel ends.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.folder.clone()
    }
}

fn ports(connection: &ConnectionInfo) -> [u16; 5] {
    let ConnectionInfo { shell_port, control_port, stdin_port, iopub_port, hb_port, .. } =
        connection;
    [*shell_port, *control_port, *stdin_port, *iopub_port, *hb_port]
}

/// Answers every heartbeat, for as long as the kernel lives.
pub(super) async fn answer_heartbeats(mut heartbeat: KernelHeartbeatConnection) {
    loop {
        if heartbeat.single_heartbeat().await.is_err() {
            pause_after_error().await;
        }
    }
}

/// A bad message must not end a loop, nor make it spin.
pub(super) async fn pause_after_error() {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_for(content: &str) -> String {
        let path =
            std::env::temp_dir().join(format!("scorebook-connection-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        let error = read(&path).unwrap_err();
        std::fs::remove_file(path).unwrap();
        format!("{error:#}")
    }

    #[test]
    fn bad_connection_files_are_clear_errors() {
        let missing = format!("{:#}", read(Path::new("/nonexistent/kernel.json")).unwrap_err());
        assert!(missing.contains("/nonexistent/kernel.json"), "{missing}");
        assert!(error_for("{").contains("is not a Jupyter connection file"));
        assert!(error_for("{\"ip\": \"127.0.0.1\"}").contains("missing field"));
        let scheme = error_for(
            r#"{"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "iopub_port": 2, "stdin_port": 3,
                "control_port": 4, "hb_port": 5, "key": "k", "signature_scheme": "hmac-md5"}"#,
        );
        assert!(scheme.contains("hmac-md5"), "{scheme}");
    }
}
