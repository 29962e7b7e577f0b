//! Signals that ask a run to stop.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Ctrl-C, the end of the terminal, or a plain `kill`.
pub struct Interruption(UnboundedReceiver<()>);

impl Interruption {
    /// From now on these signals do not end the process; they come here.
    pub fn listen() -> Result<Self> {
        let (send, receive) = unbounded_channel();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let (send, mut signal) = (send.clone(), signal(kind)?);
            tokio::spawn(
                async move { while signal.recv().await.is_some() && send.send(()).is_ok() {} },
            );
        }
        Ok(Self(receive))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
