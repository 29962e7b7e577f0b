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

/// If this process was started to run cells, or in the place of a tool, does so and never returns. The program's first act.
pub fn runtime_mode_if_child() {
    tools::stand_in_if_called();
    supervisor::runtime_mode_if_child();
}

/// The library that the cells use.
pub struct Library {
    /// The folder of its sources, with `Cargo.toml` and `src`.
    pub folder: PathBuf,
    /// The features that the notebooks' build has.
    pub features: Vec<&'static str>,
}

/// Runs the kernel that the file `connection_file` describes, until it is shut down. If `library` finds
/// none, every cell is answered with the reason.
///
/// # Errors
/// The connection file is missing or malformed, its ports are taken, or the user has no cache folder.
pub fn main(
    connection_file: &Path,
    library: impl FnOnce() -> anyhow::Result<Library> + Send + 'static,
) -> anyhow::Result<()> {
    let connection = connection::read(connection_file)?;
    let spare = Arc::new(Spare::reserve()?);
    // SAFETY: this is still the only thread of the process.
    unsafe {
        std::env::set_var("EVCXR_TMPDIR", spare.cells());
        std::env::set_var(supervisor::FOLDER_VARIABLE, spare.file(""));
        // Without a compiler there is nothing to stand in for; the first cell says so.
        if let Ok(toolchain) = workshop::Toolchain::find() {
            tools::install(&spare.file(""), &toolchain)?;
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the kernel's threads")?;
    let ended = runtime.block_on(async {
        let sockets = Sockets::bind(&connection, &spare.file("")).await?;
        let folder = sockets.folder();
        let checkpoint = Checkpoint::new(&connection.key);
        let (publisher, publishing) = Publisher::start(sockets.iopub);
        publisher.starting();
        let interruption = Arc::new(Interruption::new(spare.file(supervisor::SKIP)));
        let outputs = Arc::new(output::Outputs::new(publisher.clone(), Arc::clone(&interruption)));
        let evaluator = evaluation::Evaluator::start(
            {
                let spare = Arc::clone(&spare);
                move |helpers| startup::start(&library()?, &spare, helpers)
            },
            outputs,
            Arc::clone(&interruption),
        )?;
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
        tokio::select! {
            () = control::serve(sockets.control, &publisher, &interruption, &checkpoint) => {}
            () = control::parent_gone() => interruption.kill(),
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
        anyhow::Ok(())
    });
    spare.delete();
    ended?;
    // Cells may still be compiling or running in threads that nobody waits for.
    std::process::exit(0);
}
