//! The process between `evcxr` and the cells.
//!
//! `evcxr` starts this program again and speaks a protocol of lines with it. This process starts it a
//! third time, as the one that loads and runs the cells, and stands in the way of its output: what the
//! cells print is sorted ([`super::sorter`]) and goes on, in order, as lines that the kernel and `evcxr`
//! understand. When the cells' process dies, by `exit`, a signal or a stack overflow, everything it had
//! written is still delivered, and then how it ended.

use std::io::{BufRead, BufReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use scorebook::notebook::channel::{KERNEL_VARIABLE, Message};

use super::cause::describe;
use super::cells;
use super::event::{Event, Stream};
use super::input::{Asker, Input, reads_input};
use super::link::Link;
use super::sorter::{Item, Sorter};
use super::tools;

/// The library's name for the socket of [`Link`].
const LINK_VARIABLE: &str = "SCOREBOOK_LINK";
/// The kernel's folder, in which it leaves notes for the supervisor.
pub(super) const FOLDER_VARIABLE: &str = "SCOREBOOK_FOLDER";
/// While a file of this name is in the folder, no cell is begun.
pub(super) const SKIP: &str = "skip";
/// While a file of this name is in the folder, cells are run but their events are not told.
pub(super) const QUIET: &str = "quiet";

/// A file of this name in the folder holds another folder, as JSON: the cells go there before the next one runs.
pub(super) const MOVE: &str = "move";

/// After this silence, text without a newline is shown.
const PAUSE: Duration = Duration::from_millis(20);
/// While a cell is silent its buffer is flushed this often.
const FLUSH_PERIOD: Duration = Duration::from_millis(100);
/// While a cell is silent it is looked whether it waits for input this often.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// So much of standard error is kept to explain the end of the process, in bytes.
const LAST_WORDS: usize = 4096;
/// How long the last output of a cell may take to arrive after its end.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// If this process was started to run cells, or to supervise the one that does, does so and never returns.
pub fn runtime_mode_if_child() {
    if std::env::var_os("EVCXR_IS_RUNTIME").is_none() {
        return;
    }
    // Until the library's own handler is there, an interrupt must not end this process.
    let ignored = Arc::new(AtomicBool::new(false));
    let _ = signal_hook::flag::register(signal_hook::consts::SIGINT, ignored);
    cells::run_if_called();
    let code = supervise().unwrap_or_else(|error| {
        eprintln!("the process of the cells cannot be supervised: {error:#}");
        1
    });
    std::process::exit(code);
}

/// A piece of the cells' output.
enum Chunk {
    Bytes(Stream, Vec<u8>),
    Closed,
    /// No output: a cell begins, and the wait for output becomes impatient.
    Begin,
}

fn supervise() -> anyhow::Result<i32> {
    let socket = path("socket");
    let link = Link::listen(&socket).with_context(|| format!("cannot listen at {socket:?}"))?;
    let (input, reading) = Input::new(path("input")).context("cannot make a pipe for input")?;
    let (instructions, instructing) = std::io::pipe()?;
    let mut cells = Command::new(this_program()?);
    tools::restore(&mut cells);
    cells::instruct(&mut cells, &instructions);
    let mut cells = cells
        .env(KERNEL_VARIABLE, "1")
        .env(LINK_VARIABLE, &socket)
        // `evcxr` asks for backtraces; they would show its own frames.
        .env_remove("RUST_BACKTRACE")
        .stdin(reading)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the process of the cells")?;
    drop(instructions);
    let (sender, chunks) = channel();
    read(Stream::Stdout, cells.stdout.take().context("no standard output")?, sender.clone());
    read(Stream::Stderr, cells.stderr.take().context("no standard error")?, sender.clone());

    let running = Arc::new(AtomicBool::new(false));
    let outlet = Outlet { quiet: Arc::default(), input: input.clone() };
    let relay = Relay {
        instructing,
        link: link.clone(),
        running: Arc::clone(&running),
        outlet: outlet.clone(),
        desk: sender,
    };
    let kernel_gone = relay.start();
    let mut desk = Desk {
        chunks,
        link,
        running,
        outlet: outlet.clone(),
        sorter: Sorter::default(),
        flushed: Instant::now(),
        looked: Instant::now(),
        waits: false,
        process: cells.id(),
        last_words: String::new(),
        open: 2,
    };
    let delivered = desk.work(&kernel_gone);
    let _ = std::fs::remove_file(&socket);
    input.remove();
    if delivered.is_err() || kernel_gone.load(Ordering::Relaxed) {
        let _ = cells.kill();
    }
    let cause = describe(cells.wait()?, &desk.last_words);
    outlet.deliver(&[Item::Event(Event::Died { cause })])?;
    Ok(1)
}

/// This program, also when its file has been replaced since it started (by an update, by a build).
pub(super) fn this_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

/// The longest path that the operating system takes for a socket.
pub(super) const LONGEST_PATH: usize = 100;

/// A path for a socket or a pipe: in the kernel's folder, which goes with it however it ends; or, where that has too long
/// a name, in the folder for temporary files.
fn path(kind: &str) -> PathBuf {
    let name = format!("scorebook-{}.{kind}", std::process::id());
    let kernel = std::env::var_os(FOLDER_VARIABLE).map(|folder| PathBuf::from(folder).join(&name));
    kernel
        .filter(|path| path.as_os_str().len() <= LONGEST_PATH)
        .unwrap_or_else(|| std::env::temp_dir().join(name))
}

fn read(stream: Stream, mut source: impl Read + Send + 'static, sender: Sender<Chunk>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match source.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    if sender.send(Chunk::Bytes(stream, buffer[..length].to_vec())).is_err() {
                        return;
                    }
                }
            }
        }
        let _ = sender.send(Chunk::Closed);
    });
}

/// Hands `evcxr`'s instructions on to the cells.
struct Relay {
    instructing: PipeWriter,
    link: Link,
    running: Arc<AtomicBool>,
    outlet: Outlet,
    desk: Sender<Chunk>,
}

impl Relay {
    /// Works in a thread of its own; the flag it returns is set when `evcxr` has gone.
    fn start(mut self) -> Arc<AtomicBool> {
        let gone = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&gone);
        std::thread::spawn(move || {
            let folder = PathBuf::from(std::env::var_os(FOLDER_VARIABLE).unwrap_or_default());
            for line in BufReader::new(std::io::stdin()).lines().map_while(Result::ok) {
                let begins = line.starts_with(cells::RUN);
                if begins && folder.join(SKIP).exists() {
                    // To `evcxr` the cell has left by a `?`, so it forgets the cell's new variables.
                    let _ = self.outlet.deliver(&[
                        Item::Event(Event::Skipped),
                        Item::Protocol("EVCXR_ERROR_OCCURRED".into()),
                        Item::Protocol(cells::COMPLETE.into()),
                    ]);
                    continue;
                }
                if begins {
                    let place = folder.join(MOVE);
                    // Before the library has attached itself nobody hears; then the next cell is early enough.
                    if let Ok(target) = std::fs::read_to_string(&place)
                        && self.link.send(&format!("move {target}"))
                    {
                        let _ = std::fs::remove_file(&place);
                    }
                    self.outlet.input.begin();
                    self.link.ask("begin");
                    self.running.store(true, Ordering::Relaxed);
                    let _ = self.desk.send(Chunk::Begin);
                    self.outlet.quiet.store(folder.join(QUIET).exists(), Ordering::Relaxed);
                    let _ = self.outlet.deliver(&[Item::Event(Event::Started)]);
                }
                if !begins {
                    self.outlet.input.answer(&line, |text| {
                        let event = Event::Text { stream: Stream::Stderr, text };
                        let _ = self.outlet.deliver(&[Item::Event(event)]);
                    });
                } else if writeln!(self.instructing, "{line}").is_err() {
                    break;
                }
            }
            // The cells' process ends when its instructions do, unless a cell is running: give it a moment.
            drop(self.instructing);
            std::thread::sleep(Duration::from_secs(1));
            flag.store(true, Ordering::Relaxed);
        });
        gone
    }
}

/// Takes the chunks in, has them sorted, and delivers the items.
struct Desk {
    chunks: Receiver<Chunk>,
    link: Link,
    running: Arc<AtomicBool>,
    outlet: Outlet,
    sorter: Sorter,
    flushed: Instant,
    looked: Instant,
    /// Whether it waited for input then.
    waits: bool,
    /// The process of the cells.
    process: u32,
    /// The end of what it wrote to standard error.
    last_words: String,
    /// How many of the two streams are open.
    open: usize,
}

impl Desk {
    /// Works until both streams are closed, or `evcxr` has gone.
    fn work(&mut self, kernel_gone: &AtomicBool) -> std::io::Result<()> {
        while self.open > 0 && !kernel_gone.load(Ordering::Relaxed) {
            let running = self.running.load(Ordering::Relaxed);
            // Between cells there is nothing to wait for but the end.
            let patience = if running { PAUSE } else { Duration::from_secs(1) };
            match self.chunks.recv_timeout(patience) {
                Ok(Chunk::Bytes(stream, bytes)) => self.sort(stream, &bytes)?,
                Ok(Chunk::Closed) => self.open -= 1,
                Ok(Chunk::Begin) => {}
                Err(RecvTimeoutError::Timeout) => self.pause(running)?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.outlet.deliver(&self.sorter.end())
    }

    fn sort(&mut self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        let items = match stream {
            Stream::Stdout => self.sorter.stdout(bytes),
            Stream::Stderr => {
                self.last_words.push_str(&String::from_utf8_lossy(bytes));
                let surplus = self.last_words.len().saturating_sub(LAST_WORDS);
                let cut = self.last_words.ceil_char_boundary(surplus);
                self.last_words.drain(..cut);
                self.sorter.stderr(bytes)
            }
        };
        let mut items = items.as_slice();
        while let Some(end) = items.iter().position(|item| *item == Item::EndOfCell) {
            self.outlet.deliver(&items[..end])?;
            self.end_cell()?;
            items = &items[end + 1..];
        }
        self.outlet.deliver(items)
    }

    fn pause(&mut self, running: bool) -> std::io::Result<()> {
        if running && self.flushed.elapsed() >= FLUSH_PERIOD {
            self.link.send("flush");
            self.flushed = Instant::now();
        }
        if running && self.looked.elapsed() >= LOOK_PERIOD {
            self.looked = Instant::now();
            let waits = !self.outlet.input.is_asked() && reads_input(self.process);
            // Seen twice, lest it be a read that is about to return.
            if std::mem::replace(&mut self.waits, waits) && waits {
                let asker = Asker::Reader;
                let ask = Item::Ask { asker, prompt: String::new(), password: false };
                return self.outlet.deliver(&[ask]);
            }
        }
        self.outlet.deliver(&self.sorter.pause())
    }

    /// Waits for the cell's last output, delivers it, and lets `evcxr` know that the cell has ended.
    fn end_cell(&mut self) -> std::io::Result<()> {
        self.running.store(false, Ordering::Relaxed);
        let deadline = Instant::now() + LAST_OUTPUT;
        let mut marks = if self.link.send("sync") { 2 } else { 0 };
        while marks > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let (stream, bytes) = match self.chunks.recv_timeout(left) {
                Ok(Chunk::Bytes(stream, bytes)) => (stream, bytes),
                Ok(Chunk::Begin) => continue,
                Ok(Chunk::Closed) => {
                    self.open -= 1;
                    break;
                }
                Err(_) => break,
            };
            let items = match stream {
                Stream::Stdout => self.sorter.stdout(&bytes),
                Stream::Stderr => self.sorter.stderr(&bytes),
            };
            marks -= items.iter().filter(|item| matches!(item, Item::Sync(_))).count().min(marks);
            self.outlet.deliver(&items)?;
        }
        self.outlet.deliver(&self.sorter.end())?;
        self.outlet.deliver(&[Item::Protocol(cells::COMPLETE.into())])
    }
}

/// The way to `evcxr` and through it to the kernel: standard output.
#[derive(Clone)]
struct Outlet {
    /// Whether events are dropped.
    quiet: Arc<AtomicBool>,
    /// Is told who asks.
    input: Input,
}

impl Outlet {
    fn deliver(&self, items: &[Item]) -> std::io::Result<()> {
        let quiet = self.quiet.load(Ordering::Relaxed);
        let mut out = std::io::stdout().lock();
        for item in items {
            match item {
                Item::Event(event) if !quiet => writeln!(out, "{}", event.line())?,
                // What goes wrong so early is the reason that the kernel gives for not starting.
                Item::Event(Event::Text { stream: Stream::Stderr, text }) => eprint!("{text}"),
                Item::Event(Event::Died { cause }) => eprintln!("{cause}"),
                Item::Protocol(line) => writeln!(out, "{line}")?,
                Item::Ask { asker, prompt, password } => {
                    self.input.ask(*asker);
                    let (prompt, password) = (prompt.clone(), *password);
                    let content = Message::Question { prompt, password };
                    // The question itself is the event; the line makes `evcxr` call the kernel for an answer.
                    writeln!(out, "{}", Event::Message { content }.line())?;
                    writeln!(out, "EVCXR_INPUT_REQUEST:")?;
                }
                _ => {}
            }
        }
        out.flush()
    }
}
