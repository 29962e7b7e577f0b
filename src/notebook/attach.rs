//! What the kernel needs inside the process that runs the cells.
//!
//! The program that hosts the cells has a standard library of its own, another copy than the one the
//! cells share. So whatever must be seen by the cells is installed from here, by a silent first cell:
//! the panic hook, the interrupt flag, and a thread that flushes the cells' standard output.

use std::sync::Once;

use super::channel::{self, Message};

/// Where the kernel's socket for [`attach`] is.
pub const LINK_VARIABLE: &str = "SCOREBOOK_LINK";

/// Called by the kernel on the thread that runs the cells, once after each start of their process.
pub fn attach() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        report_panics();
        if let Err(error) = crate::interrupt::listen() {
            eprintln!("cells cannot be interrupted: {error}");
        }
        #[cfg(unix)]
        if let Err(error) = link::serve() {
            eprintln!("text without a newline will be shown late: {error}");
        }
    });
}

fn report_panics() {
    let cell_thread = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        channel::send(&Message::Panic {
            text: text_of(panic.payload()),
            location: panic.location().map(ToString::to_string).unwrap_or_default(),
            thread: thread.name().unwrap_or("unnamed").to_owned(),
            in_cell: thread.id() == cell_thread,
        });
    }));
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic with a payload that is not text".into())
}

/// The kernel's requests, one word a line.
///
/// - `move "FOLDER"`: go to the folder, which is a JSON string.
/// - `begin`: a cell begins; an interrupt of the one before is not meant for it. Answered by `done`.
/// - `flush`: show the text that waits for its newline.
/// - `sync`: a cell has ended; mark the place in standard output and standard error.
#[cfg(unix)]
mod link {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    use super::{Message, channel};

    pub(super) fn serve() -> std::io::Result<()> {
        let Some(path) = std::env::var_os(super::LINK_VARIABLE) else { return Ok(()) };
        let mut answers = UnixStream::connect(path)?;
        let requests = BufReader::new(answers.try_clone()?);
        std::thread::Builder::new().name("scorebook-link".into()).spawn(move || {
            for request in requests.lines().map_while(Result::ok) {
                if let Some(folder) = request.strip_prefix("move ") {
                    move_to(folder);
                    continue;
                }
                let answered = match request.as_str() {
                    "begin" => {
                        crate::interrupt::clear();
                        answers.write_all(b"done\n")
                    }
                    "sync" => {
                        channel::send(&Message::Sync);
                        std::io::stderr().write_all(channel::line(&Message::Sync).as_bytes())
                    }
                    _ => std::io::stdout().flush(),
                };
                if answered.is_err() {
                    break;
                }
            }
        })?;
        Ok(())
    }

    fn move_to(folder: &str) {
        let folder = serde_json::from_str::<std::path::PathBuf>(folder).map_err(Into::into);
        if let Err(error) = folder.and_then(std::env::set_current_dir) {
            eprintln!("the cells do not run in the notebook's folder: {error}");
        }
    }
}
