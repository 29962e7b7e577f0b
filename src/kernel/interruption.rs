//! Stopping a cell.
//!
//! An interrupt is first a request: the signal sets a flag that the library's long loops look at, and
//! the cell ends by itself with all of its variables. Only a cell that has not stopped after a grace
//! period is ended by ending its process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a cell may take to stop by itself.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Where the current cell is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Idle,
    Compiling,
    Running,
}

/// How an interrupt of the last cell went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Outcome {
    /// Nobody interrupted it.
    #[default]
    None,
    /// It was asked to stop, and stopped.
    Asked,
    /// It did not stop in time, and its process was ended.
    Killed,
}

/// The state of the current cell, as far as it concerns interrupts.
#[derive(Debug)]
struct State {
    phase: Phase,
    /// Counts the cells, so that the end of a grace period finds the cell that it was meant for.
    cell: u64,
    outcome: Outcome,
}

/// Stops cells; shared by everyone who may ask for it.
#[derive(Debug)]
pub(super) struct Interruption {
    state: Mutex<State>,
    /// The process group of the cells, 0 before there is one.
    group: AtomicU32,
    /// While this file exists the supervisor runs no cell.
    skip: PathBuf,
}

impl Interruption {
    /// `skip` is the file by which the supervisor is told not to begin a cell.
    pub(super) fn new(skip: PathBuf) -> Self {
        let state = State { phase: Phase::Idle, cell: 0, outcome: Outcome::None };
        Self { state: Mutex::new(state), group: AtomicU32::new(0), skip }
    }

    /// The cells run in the process group `group`.
    pub(super) fn attach(&self, group: u32) {
        self.group.store(group, Ordering::Relaxed);
    }

    /// A cell is being compiled.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        let _ = std::fs::remove_file(&self.skip);
        *state = State { phase: Phase::Compiling, cell: state.cell + 1, outcome: Outcome::None };
    }

    /// The compiled cell runs. An interrupt that came too late for the supervisor is sent on.
    pub(super) fn started(&self) {
        let mut state = self.state();
        if state.phase == Phase::Compiling {
            state.phase = Phase::Running;
            if state.outcome == Outcome::Asked {
                self.signal(libc::SIGINT);
            }
        }
    }

    /// The cell has ended; tells whether it was interrupted.
    pub(super) fn end(&self) -> Outcome {
        let mut state = self.state();
        state.phase = Phase::Idle;
        let _ = std::fs::remove_file(&self.skip);
        std::mem::take(&mut state.outcome)
    }

    /// Whether the current cell has been asked to stop.
    pub(super) fn is_pending(&self) -> bool {
        self.state().outcome != Outcome::None
    }

    /// Asks the current cell to stop, and ends it if it has not stopped within [`GRACE`].
    pub(super) fn request(self: &Arc<Self>) {
        let mut state = self.state();
        match state.phase {
            Phase::Idle => return,
            Phase::Compiling => {
                let _ = std::fs::write(&self.skip, "");
            }
            Phase::Running => self.signal(libc::SIGINT),
        }
        if state.outcome != Outcome::None {
            return;
        }
        state.outcome = Outcome::Asked;
        let cell = state.cell;
        drop(state);
        let interruption = Arc::clone(self);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(GRACE);
                let mut state = interruption.state();
                if state.cell != cell || state.phase == Phase::Idle {
                    break;
                }
                // What is compiled cannot be hurried, and is not begun afterwards.
                if state.phase == Phase::Running {
                    state.outcome = Outcome::Killed;
                    interruption.kill();
                    break;
                }
            }
        });
    }

    /// Ends the cells' process and everything that it has started.
    pub(super) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    fn signal(&self, signal: i32) {
        let group = self.group.load(Ordering::Relaxed);
        if let Ok(group) = i32::try_from(group)
            && group > 1
        {
            // SAFETY: a plain system call on numbers; for a group that has ended it only reports so.
            unsafe { libc::kill(-group, signal) };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes Ctrl-C, and the signal by which some front ends interrupt, as an interrupt of the cell.
pub(super) async fn on_signal(interruption: Arc<Interruption>) {
    let Ok(mut interrupts) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
    else {
        return;
    };
    while interrupts.recv().await.is_some() {
        interruption.request();
    }
}
