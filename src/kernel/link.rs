//! The supervisor's end of the socket to the library in the process of the cells.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an answer may take before the supervisor goes on without it.
const PATIENCE: Duration = Duration::from_millis(300);

/// A connection that exists as soon as the library has attached itself; before that nothing is sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    stream: Arc<Mutex<Option<UnixStream>>>,
}

impl Link {
    /// Waits at `path` for the library.
    pub(super) fn listen(path: &Path) -> std::io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let link = Self::default();
        let stream = Arc::clone(&link.stream);
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                let _ = connection.set_read_timeout(Some(PATIENCE));
                *stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            }
        });
        Ok(link)
    }

    /// Sends one word; tells whether somebody is there to read it.
    pub(super) fn send(&self, word: &str) -> bool {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_mut() {
            Some(stream) => stream.write_all(format!("{word}\n").as_bytes()).is_ok(),
            None => false,
        }
    }

    /// Sends one word and waits for its answer.
    pub(super) fn ask(&self, word: &str) {
        if !self.send(word) {
            return;
        }
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = stream.as_ref().and_then(|stream| stream.try_clone().ok()) {
            // The answer is one short line, so nothing of a later one can be in the reader's buffer.
            let _ = BufReader::new(stream).read_line(&mut String::new());
        }
    }
}
