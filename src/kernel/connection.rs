//! The connection file and the sockets.

use std::path::Path;

use anyhow::{Context, bail};
use jupyter_zmq_client::{
    ConnectionInfo, KernelControlConnection, KernelHeartbeatConnection, KernelIoPubXPubConnection,
    KernelShellConnection, KernelStdinConnection, create_kernel_control_connection,
    create_kernel_heartbeat_connection, create_kernel_iopub_xpub_connection,
    create_kernel_shell_connection, create_kernel_stdin_connection,
};

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

/// The kernel's five sockets, bound to the address of the connection file and no other.
pub(super) struct Sockets {
    pub(super) shell: KernelShellConnection,
    pub(super) control: KernelControlConnection,
    pub(super) stdin: KernelStdinConnection,
    pub(super) iopub: KernelIoPubXPubConnection,
    pub(super) heartbeat: KernelHeartbeatConnection,
}

impl Sockets {
    /// # Errors
    /// A port is taken, or the address is not this machine's.
    pub(super) async fn bind(connection: &ConnectionInfo) -> anyhow::Result<Self> {
        let session = uuid::Uuid::new_v4().to_string();
        let cannot =
            |socket: &str, port: u16| format!("cannot bind the {socket} socket to port {port}");
        Ok(Self {
            shell: create_kernel_shell_connection(connection, &session)
                .await
                .with_context(|| cannot("shell", connection.shell_port))?,
            control: create_kernel_control_connection(connection, &session)
                .await
                .with_context(|| cannot("control", connection.control_port))?,
            stdin: create_kernel_stdin_connection(connection, &session)
                .await
                .with_context(|| cannot("stdin", connection.stdin_port))?,
            iopub: create_kernel_iopub_xpub_connection(connection, &session)
                .await
                .with_context(|| cannot("iopub", connection.iopub_port))?,
            heartbeat: create_kernel_heartbeat_connection(connection)
                .await
                .with_context(|| cannot("heartbeat", connection.hb_port))?,
        })
    }
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
