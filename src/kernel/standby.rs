//! Kernels that are started ahead of the wish for one.
//!
//! Most of a kernel's start is work that is the same for all: rust-analyzer reads the library, `evcxr` compiles its
//! first cell. So while JupyterLab or a batch of notebooks runs, one kernel more than is asked for is kept warm. The
//! process that Jupyter starts then hands its connection file to that one and stays only as its door:
//!
//! ```text
//! Jupyter --starts, signals--> door --connection file, interrupts--> standby <--five sockets--> Jupyter
//! ```
//!
//! The connection between the two is the life of both: when the door is killed, the kernel behind it ends, and when
//! the kernel ends, the door does. A kernel serves in another's place only if that one would have been the same: the
//! same program, library and environment.

use std::io::{BufRead, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signal_hook::consts::SIGINT;
use tokio::sync::oneshot;

use super::interruption::Interruption;
use super::supervisor::{FOLDER_VARIABLE, MOVE};
use super::workshop::{Spare, kernel_folders, of_kernel};
use super::{control, tools};

/// The process for whose sake kernels are started ahead: set in the environment of the kernels, by `lab` for example.
pub const KEEPER_VARIABLE: &str = "SCOREBOOK_KEEPER";

/// In a standby's folder: the socket at which it waits.
const SOCKET: &str = "standby.socket";
/// In a standby's folder: its [`key`], and in a second line the process it waits for. Whoever renames this file first
/// has the kernel.
const KEY: &str = "standby.key";
/// What the key's file is called from then on.
const CLAIMED: &str = "standby.claimed";
/// Variables that Jupyter or a shell sets anew for each process, which make no kernel another one.
const PASSING: [&str; 6] = ["JPY_", "KERNEL_", "PWD", "OLDPWD", "SHLVL", "_"];
/// A reader's first cells come before the next standby's start.
const DELAY: Duration = Duration::from_secs(5);
/// How often a standby looks whether it is wanted.
const POLL: Duration = Duration::from_millis(20);
/// How long a standby may take to answer before its place is taken by a kernel of the usual kind.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a standby is told.
#[derive(Debug, Serialize, Deserialize)]
struct Handover {
    connection_file: PathBuf,
    /// Where the kernel was started: the notebook's folder.
    folder: PathBuf,
    /// For whom the next one is to be started ahead.
    keeper: Option<u32>,
}

/// What a standby says when it takes over, and when it has ended in order.
const TAKEN: &[u8; 6] = b"taken\n";
const ENDED: &[u8; 6] = b"ended\n";

/// The command that starts a standby for as long as the process `keeper` lives.
///
/// A shell comes between, so that it is nobody's child: who ends a kernel with all that it has started does not mean
/// the next one.
///
/// # Errors
/// The operating system does not tell where this program lies.
pub fn command(keeper: u32) -> std::io::Result<Command> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "\"$0\" \"$@\" &"]).arg(std::env::current_exe()?);
    command.args(["standby", "--keeper", &keeper.to_string()]);
    command.env(KEEPER_VARIABLE, keeper.to_string());
    // A group of its own: Ctrl-C in the keeper's terminal is not for it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    // A pipe that it held open would never end for who reads the keeper's output.
    if !std::io::stderr().is_terminal() {
        command.stderr(Stdio::null());
    }
    Ok(command)
}

/// For whom kernels are to be started ahead, by the environment of this one.
pub(super) fn keeper() -> Option<u32> {
    std::env::var(KEEPER_VARIABLE).ok()?.parse().ok()
}

/// Starts the next standby a little later.
pub(super) fn launch_next(keeper: u32) {
    std::thread::spawn(move || {
        std::thread::sleep(DELAY);
        let launched = command(keeper).and_then(|mut command| {
            tools::restore(&mut command);
            command.env_remove("EVCXR_TMPDIR").env_remove(FOLDER_VARIABLE).status()
        });
        if let Err(error) = launched {
            eprintln!("cannot start a kernel ahead: {error}");
        }
    });
}

/// Whether a kernel of this key is waiting.
pub(super) fn is_waiting(key: &str) -> bool {
    kernel_folders().iter().any(|folder| has_key(folder, key))
}

fn has_key(folder: &Path, key: &str) -> bool {
    std::fs::read_to_string(folder.join(KEY)).is_ok_and(|its| its.lines().next() == Some(key))
}

/// Whether a process of this number is there.
fn is_alive(process: u32) -> bool {
    // SAFETY: signal 0 is none: the call only tells whether it could be sent.
    i32::try_from(process).is_ok_and(|process| unsafe { libc::kill(process, 0) } == 0)
}

/// What makes one kernel as good as another: the program and its environment.
pub(super) fn key() -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let written = std::fs::metadata(&program)?.modified()?.duration_since(UNIX_EPOCH)?;
    let mut hash = Sha256::new();
    hash.update(program.as_os_str().as_encoded_bytes());
    hash.update(written.as_nanos().to_le_bytes());
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for (name, value) in variables {
        let passing = |passing: &str| match passing.ends_with('_') && passing.len() > 1 {
            true => name.to_string_lossy().starts_with(passing),
            false => name == *passing,
        };
        if !PASSING.iter().any(|name| passing(name)) && name != KEEPER_VARIABLE {
            for part in [&name, &value] {
                hash.update(part.as_encoded_bytes());
                hash.update([0]);
            }
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The door to a standby that has taken over.
pub(super) struct Door {
    stream: UnixStream,
}

/// Hands `connection_file` to a standby, if kernels are started ahead and one of this key waits.
pub(super) fn hand_over(connection_file: &Path, key: &str) -> Option<Door> {
    let handover = Handover {
        connection_file: connection_file.canonicalize().ok()?,
        folder: std::env::current_dir().ok()?,
        keeper: keeper(),
    };
    let line = serde_json::to_string(&handover).ok()?;
    kernel_folders().into_iter().filter(|folder| has_key(folder, key)).find_map(|folder| {
        // Of two that want it the first one wins: the other finds nothing to rename.
        std::fs::rename(folder.join(KEY), folder.join(CLAIMED)).ok()?;
        let mut stream = UnixStream::connect(folder.join(SOCKET)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        writeln!(stream, "{line}").ok()?;
        let mut answer = [0; TAKEN.len()];
        stream.read_exact(&mut answer).ok()?;
        stream.set_read_timeout(None).ok()?;
        (answer == *TAKEN).then_some(Door { stream })
    })
}

impl Door {
    /// Stands until the kernel behind it has ended, and hands interrupts on; the exit code.
    ///
    /// # Errors
    /// The operating system refuses the signal handler.
    pub(super) fn stand(mut self) -> anyhow::Result<i32> {
        let mut interrupts = signal_hook::iterator::Signals::new([SIGINT])?;
        let mut stream = self.stream.try_clone()?;
        std::thread::spawn(move || {
            for _ in &mut interrupts {
                let _ = stream.write_all(b"interrupt\n");
            }
        });
        std::thread::spawn(|| {
            control::wait_for_parent();
            std::process::exit(1);
        });
        // Its end closes the stream; by then its ports are free again.
        let mut last = Vec::new();
        let _ = self.stream.read_to_end(&mut last);
        Ok(i32::from(last != ENDED))
    }
}

/// Waits until a kernel that starts hands its connection file to this one. There is none if the process `keeper` has
/// gone, or if the workshop of this kernel is not `current` any more.
///
/// From then on the current folder is the one where the kernel was asked for.
///
/// # Errors
/// The folder cannot be written, its name is too long for a socket, or the other side speaks another language.
pub(super) fn wait(
    spare: &Spare,
    key: &str,
    keeper: u32,
    current: impl FnOnce(&Path) -> bool,
) -> anyhow::Result<Option<(PathBuf, Hinge)>> {
    let workshop = loop {
        match of_kernel(&spare.file("")) {
            Some(workshop) => break workshop,
            None if !is_alive(keeper) => return Ok(None),
            None => std::thread::sleep(POLL),
        }
    };
    let socket = spare.file(SOCKET);
    let listener = UnixListener::bind(&socket)
        .with_context(|| format!("cannot listen at {}", socket.display()))?;
    listener.set_nonblocking(true)?;
    std::fs::write(spare.file(KEY), format!("{key}\n{keeper}\n"))?;
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) if !is_alive(keeper) => return Ok(None),
            Err(_) => std::thread::sleep(POLL),
        }
    };
    stream.set_nonblocking(false)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let Handover { connection_file, folder, keeper } = serde_json::from_str(&line)?;
    if !current(&workshop) {
        return Ok(None);
    }
    std::env::set_current_dir(&folder)?;
    std::fs::write(spare.file(MOVE), serde_json::to_string(&folder)?)?;
    stream.write_all(TAKEN)?;
    Ok(Some((connection_file, Hinge { lines, stream, keeper })))
}

/// The kernel's end of its door.
pub(super) struct Hinge {
    lines: BufReader<UnixStream>,
    stream: UnixStream,
    /// For whom the next kernel is to be started ahead.
    pub(super) keeper: Option<u32>,
}

impl Hinge {
    /// Takes the door's interrupts from now on.
    pub(super) fn follow(self, interruption: Arc<Interruption>) -> Followed {
        let (sender, gone) = oneshot::channel();
        std::thread::spawn(move || {
            self.lines.lines().map_while(Result::ok).for_each(|_| interruption.request());
            drop(sender);
        });
        Followed { stream: self.stream, gone }
    }
}

/// A door that is listened to.
pub(super) struct Followed {
    stream: UnixStream,
    gone: oneshot::Receiver<()>,
}

impl Followed {
    /// Returns when the door has been killed.
    pub(super) async fn gone(&mut self) {
        let _ = (&mut self.gone).await;
    }

    /// Tells the door that the kernel ends in order.
    pub(super) fn close(mut self) {
        let _ = self.stream.write_all(ENDED);
    }
}
