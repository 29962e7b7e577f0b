//! Requests that do not wait for the running cell: interrupt and shutdown.

use std::sync::Arc;
use std::time::Duration;

use jupyter_protocol::{InterruptReply, JupyterMessageContent, ReplyStatus, ShutdownReply};
use jupyter_zmq_client::KernelControlConnection;

use super::interruption::Interruption;
use super::publisher::Publisher;
use super::request::{answer, next, refusal};
use super::shell::kernel_info;
use super::wire::{Checkpoint, Request};

/// Returns when the process that started the kernel has ended, if it asked for that: a server that was
/// killed cannot shut its kernels down.
pub(super) async fn parent_gone() {
    // A thread that nobody waits for at the end.
    let _ = tokio::task::spawn_blocking(wait_for_parent).await;
}

/// [`parent_gone`] for a process without tasks.
pub(super) fn wait_for_parent() {
    let parent = std::os::unix::process::parent_id();
    let asked = std::env::var_os("JPY_PARENT_PID").is_some();
    while !asked || std::os::unix::process::parent_id() == parent {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Answers until the kernel is asked to shut down.
pub(super) async fn serve(
    socket: KernelControlConnection,
    publisher: &Publisher,
    interruption: &Arc<Interruption>,
    checkpoint: &Checkpoint,
) {
    let (mut replies, mut requests) = socket.split();
    loop {
        let Request { message, fault } = next(&mut requests, checkpoint).await;
        publisher.busy(&message);
        let mut over = false;
        match &message.content {
            JupyterMessageContent::InterruptRequest(_) => {
                interruption.request();
                answer(&mut replies, InterruptReply::new(), &message).await;
            }
            JupyterMessageContent::ShutdownRequest(request) => {
                interruption.kill();
                let reply = ShutdownReply {
                    restart: request.restart,
                    status: ReplyStatus::Ok,
                    error: None,
                };
                publisher.send(reply.clone(), Some(&message));
                answer(&mut replies, reply, &message).await;
                over = true;
            }
            JupyterMessageContent::KernelInfoRequest(_) => {
                answer(&mut replies, kernel_info(), &message).await;
            }
            content => {
                let kind = content.message_type();
                let why = fault.unwrap_or_else(|| format!("{kind} is not known here"));
                if let Some(reply) = refusal(kind, "BadRequest", &why) {
                    answer(&mut replies, reply, &message).await;
                }
            }
        }
        publisher.idle(&message);
        if over {
            return;
        }
    }
}
