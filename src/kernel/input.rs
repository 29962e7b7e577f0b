//! The cells' standard input.
//!
//! It is a pipe with a name, into which the answers go that the reader gives. A cell that reads without having asked,
//! by `std::io::stdin().read_line` for example, is found waiting, and the question is put for it.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scorebook::notebook::channel::Answer;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Asker {
    /// The library's `ask`, which understands a refusal.
    Library,
    /// The package `evcxr_input`.
    Evcxr,
    /// Whoever reads standard input.
    Reader,
}

/// The supervisor's end of the pipe; clones are the same pipe.
#[derive(Clone, Debug)]
pub(super) struct Input {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// While it is open a reader waits; once it is closed he reads the end.
    pipe: Option<File>,
    asker: Option<Asker>,
}

impl Input {
    /// Makes the pipe; the file is what the cells read from.
    pub(super) fn new(path: PathBuf) -> std::io::Result<(Self, File)> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the name ends with a zero; nothing else is touched.
        if unsafe { libc::mkfifo(name.as_ptr(), 0o600) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let pipe = open(&path)?;
        let reading = File::open(&path)?;
        let state = State { pipe: Some(pipe), asker: None };
        Ok((Self { path, state: Arc::new(Mutex::new(state)) }, reading))
    }

    /// A cell begins: it has not read the end yet, and asks nothing.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.asker = None;
        if state.pipe.is_none() {
            state.pipe = open(&self.path).ok();
        }
    }

    /// Somebody waits for an answer now.
    pub(super) fn ask(&self, asker: Asker) {
        self.state().asker = Some(asker);
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_asked(&self) -> bool {
        self.state().asker.is_some()
    }

    /// Hands the kernel's answer to whoever asked. Where there is none, `explain` gets a text for the reader that says
    /// why, before the cell goes on and perhaps ends.
    pub(super) fn answer(&self, line: &str, explain: impl FnOnce(String)) {
        let Some(asker) = self.state().asker.take() else { return };
        let answer = serde_json::from_str(line).unwrap_or_else(|_| Answer::Text(line.to_owned()));
        let (text, refusal) = match (asker, answer) {
            (Asker::Library, _) => (Some(line.to_owned()), None),
            (_, Answer::Text(text)) => (Some(text), None),
            (Asker::Evcxr, Answer::Refused(why)) => (Some(String::new()), Some(why)),
            (Asker::Reader, Answer::Refused(why)) => (None, Some(why)),
        };
        if let Some(why) = refusal {
            explain(format!("the cell reads standard input, which has no answer: {why}\n"));
        }
        let mut state = self.state();
        match (text, &mut state.pipe) {
            (Some(text), Some(pipe)) => drop(writeln!(pipe, "{text}")),
            _ => state.pipe = None,
        }
    }

    /// Removes the pipe's name.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opened both ways, as otherwise the call would wait for the other end.
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Whether a thread of the process waits in a read of standard input. Only Linux tells.
pub(super) fn reads_input(process: u32) -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    threads.flatten().any(|thread| {
        let call = std::fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
        let mut words = call.split(' ');
        words.next().and_then(|number| number.parse().ok()) == Some(libc::SYS_read)
            && words.next() == Some("0x0")
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};

    use super::*;

    fn pipe(name: &str) -> (Input, BufReader<File>) {
        let path = std::env::temp_dir().join(format!("scorebook-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let (input, reading) = Input::new(path).unwrap();
        (input, BufReader::new(reading))
    }

    #[test]
    fn answers_go_to_whoever_asked() {
        let (input, mut reading) = pipe("answers");
        let mut line = || {
            let mut line = String::new();
            reading.read_line(&mut line).unwrap();
            line
        };
        let answer = |line: &str| {
            let mut explanation = None;
            input.answer(line, |text| explanation = Some(text));
            explanation
        };
        assert_eq!(answer("nobody asked"), None);
        input.ask(Asker::Library);
        assert!(input.is_asked());
        assert_eq!(answer(r#"{"refused":"no"}"#), None);
        assert_eq!(line(), "{\"refused\":\"no\"}\n");
        input.ask(Asker::Reader);
        assert_eq!(answer(r#"{"text":"Ada"}"#), None);
        assert_eq!(line(), "Ada\n");
        input.ask(Asker::Evcxr);
        assert!(answer(r#"{"refused":"no"}"#).unwrap().contains("no answer: no"));
        assert_eq!(line(), "\n");
        input.remove();
    }

    #[test]
    fn a_refused_reader_reads_the_end_and_the_next_cell_can_ask_again() {
        let (input, mut reading) = pipe("end");
        input.ask(Asker::Reader);
        let mut explained = false;
        input.answer(r#"{"refused":"nobody is there"}"#, |_| explained = true);
        assert!(explained);
        let mut rest = String::new();
        reading.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        input.begin();
        input.ask(Asker::Reader);
        input.answer(r#"{"text":"again"}"#, |text| panic!("{text}"));
        reading.read_line(&mut rest).unwrap();
        assert_eq!(rest, "again\n");
        input.remove();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_waits_for_input_is_found() {
        let mut waiting =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let found = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            reads_input(waiting.id())
        });
        waiting.kill().unwrap();
        waiting.wait().unwrap();
        assert!(found && !reads_input(std::process::id()));
    }
}
