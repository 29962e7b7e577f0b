//! The Jupyter kernel.
//!
//! ```text
//! front end  <-- five sockets -->  kernel  <-- lines -->  supervisor  <-- pipes -->  cells
//! ```
//!
//! - [`connection`]: the connection file and the sockets behind their [`gate`]; [`wire`]: what passes for a message;
//!   [`publisher`]: the socket that all clients hear.
//! - [`shell`] and [`control`] answer requests, in order and out of order; [`names`] what is asked while a cell runs.
//! - [`evaluation`] compiles and runs cells through `evcxr`, on a thread of its own; [`syntax`] makes a statement of a
//!   last expression, so that its value is shown; [`rebuild`] tells what a new dependency would cost.
//! - [`supervisor`], [`sorter`] and [`link`] stand between `evcxr` and the process of the [`cells`], so that
//!   outputs come at once and in order, failures are known ([`event`]), and questions are asked ([`input`]).
//! - [`output`] turns events into messages for the front end; [`failure`] says what went wrong.
//! - [`standby`] starts kernels ahead of the wish for one.
//! - [`workshop`] keeps the compiled dependencies, [`tools`] what cargo says about them; [`interruption`] stops a cell.

mod analysis;
mod cause;
mod cells;
mod completeness;
mod connection;
mod control;
mod diagnostic;
mod evaluation;
mod event;
mod failure;
mod gate;
mod history;
mod input;
mod interruption;
mod link;
mod names;
mod output;
mod publisher;
mod rebuild;
mod request;
mod shell;
mod sorter;
pub mod standby;
mod startup;
mod stdin;
mod supervisor;
mod syntax;
mod tools;
mod wire;
pub mod workshop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use connection::Sockets;
use interruption::Interruption;
use publisher::Publisher;
use tokio::sync::Notify;
use wire::Checkpoint;
use workshop::Spare;

pub use supervisor::runtime_mode_if_child;
pub use tools::stand_in_if_called;

/// The library that the cells use.
pub struct Library {
    /// The folder of its sources, with `Cargo.toml` and `src`.
    pub folder: PathBuf,
    /// The features that the notebooks' build has.
    pub features: Vec<&'static str>,
}

/// Which kernel a process is to be.
#[derive(Clone, Copy, Debug)]
pub enum Role<'a> {
    /// The one that this connection file describes.
    Asked(&'a Path),
    /// One that is started ahead, for as long as the process of this number lives.
    Standby(u32),
}

/// Runs a kernel until it is shut down. If `library` finds none, every cell is answered with the reason.
///
/// # Errors
/// The connection file is missing or malformed, its ports are taken, or the user has no cache folder.
pub fn main(
    role: Role,
    library: impl Fn() -> anyhow::Result<Library> + Clone + Send + Sync + 'static,
) -> anyhow::Result<()> {
    // By the environment as it is before anything below changes it.
    let key = standby::key()?;
    match role {
        Role::Asked(connection_file) => {
            // What is wrong with the file is said here, whoever will serve it.
            connection::read(connection_file)?;
            connection::warn_of_readers(connection_file);
            if let Some(door) = standby::hand_over(connection_file, &key) {
                std::process::exit(door.stand()?);
            }
        }
        Role::Standby(_) if standby::is_waiting(&key) => return Ok(()),
        Role::Standby(_) => {}
    }
    let spare = Arc::new(Spare::reserve()?);
    // SAFETY: this is still the only thread of the process.
    unsafe {
        std::env::set_var("EVCXR_TMPDIR", spare.cells());
        std::env::set_var(supervisor::FOLDER_VARIABLE, spare.file(""));
        // Without a compiler there is nothing to stand in for; the first cell says so.
        if let Ok(toolchain) = workshop::Toolchain::find() {
            tools::install(&spare.file(""), toolchain)?;
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the kernel's threads")?;
    let ended = runtime.block_on(serve(role, &spare, &key, library));
    spare.delete();
    ended?;
    // Cells may still be compiling or running in threads that nobody waits for.
    std::process::exit(0);
}

async fn serve(
    role: Role<'_>,
    spare: &Arc<Spare>,
    key: &str,
    library: impl Fn() -> anyhow::Result<Library> + Clone + Send + 'static,
) -> anyhow::Result<()> {
    let (publisher, messages) = Publisher::new();
    let interruption = Arc::new(Interruption::new(spare.file(supervisor::SKIP)));
    let outputs = Arc::new(output::Outputs::new(publisher.clone(), Arc::clone(&interruption)));
    let evaluator = evaluation::Evaluator::start(
        {
            let (library, spare) = (library.clone(), Arc::clone(spare));
            move |helpers| startup::start(&library()?, &spare, helpers)
        },
        outputs,
        Arc::clone(&interruption),
    )?;
    let (connection, door) = match role {
        Role::Asked(file) => (connection::read(file)?, None),
        Role::Standby(keeper) => {
            let current = move |workshop: &Path| {
                let now = library().and_then(|now| workshop::location(&now.folder, &now.features));
                now.is_ok_and(|now| now == workshop)
            };
            let (spare, key) = (Arc::clone(spare), key.to_owned());
            let asked = move || standby::wait(&spare, &key, keeper, current);
            let Some((file, hinge)) = tokio::task::spawn_blocking(asked).await?? else {
                return Ok(());
            };
            (connection::read(&file)?, Some(hinge))
        }
    };
    let sockets = Sockets::bind(&connection, &spare.file("")).await?;
    let folder = sockets.folder();
    let checkpoint = Checkpoint::new(&connection.key);
    publisher.starting();
    let publishing = tokio::spawn(publisher::publish(sockets.iopub, messages));
    tokio::spawn(connection::answer_heartbeats(sockets.heartbeat));
    tokio::spawn(interruption::on_signal(Arc::clone(&interruption)));
    let end = Arc::new(Notify::new());
    let parts = shell::Parts {
        publisher: publisher.clone(),
        evaluator,
        questions: stdin::serve(sockets.stdin, checkpoint.clone()),
        checkpoint: checkpoint.clone(),
        end: Arc::clone(&end),
    };
    tokio::spawn(shell::serve(sockets.shell, parts));
    let keeper = door.as_ref().map_or_else(standby::keeper, |door| door.keeper);
    if let Some(keeper) = keeper {
        standby::launch_next(keeper);
    }
    let mut door = door.map(|hinge| hinge.follow(Arc::clone(&interruption)));
    let forsaken = async {
        match &mut door {
            Some(door) => door.gone().await,
            None => control::parent_gone().await,
        }
    };
    tokio::select! {
        () = control::serve(sockets.control, &publisher, &interruption, &checkpoint) => {}
        () = forsaken => interruption.kill(),
        () = end.notified() => {
            // The reply goes out first.
            tokio::time::sleep(Duration::from_millis(200)).await;
            interruption.kill();
        }
    }
    // The last messages are on their way before the process ends.
    publisher.close();
    let _ = tokio::time::timeout(Duration::from_secs(1), publishing).await;
    if let Some(folder) = folder {
        let _ = std::fs::remove_dir_all(folder);
    }
    if let Some(door) = door {
        door.close();
    }
    Ok(())
}
