//! From a fresh process to one that can run cells.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use evcxr::{CommandContext, EvalContext, EvalContextOutputs};
use std::os::unix::process::CommandExt;

use super::Library;
use super::output::Barrier;
use super::supervisor::{QUIET, this_program};
use super::workshop::{self, Spare};

/// The code that every kernel has run before its first cell.
///
/// Its `?` teaches `evcxr` that cells may use it. Without it the first cell of a reader whose last expression holds
/// a `?` would be shown by `Debug`, as `evcxr` takes the first error in that expression for a missing display.
pub(super) const PRELUDE: &str =
    "use scorebook::prelude::*;\nscorebook::notebook::attach();\nOk::<(), std::fmt::Error>(())?;";

/// What the start asks of the evaluation thread.
pub(super) struct Helpers<'a> {
    /// Is told, line by line, about work that takes minutes.
    pub(super) progress: &'a mut dyn FnMut(&str),
    /// Begins to publish what the cells show.
    pub(super) publish: &'a dyn Fn(EvalContextOutputs) -> Barrier,
}

/// Restores the dependencies and the prelude after `:clear`.
pub(super) type Renewal = Box<dyn Fn(&mut CommandContext) -> anyhow::Result<()>>;

/// What has been started.
pub(super) struct Started {
    pub(super) context: CommandContext,
    pub(super) barrier: Barrier,
    /// The folder of the cells' crate.
    pub(super) cells: PathBuf,
    /// The folder of the library.
    pub(super) library: PathBuf,
    pub(super) renewal: Renewal,
}

/// Prepares the workshop if that has not been done, and starts `evcxr` on a copy of it.
///
/// # Errors
/// No compiler, or dependencies that cannot be built.
pub(super) fn start(library: &Library, spare: &Spare, helpers: Helpers) -> anyhow::Result<Started> {
    let workshop = workshop::prepare(&library.folder, &library.features, helpers.progress)?;
    let filling = spare.fill(&workshop)?;

    let cells = spare.cells();
    let versions = std::fs::read(workshop::lock_file(&cells))?;
    let mut supervisor = Command::new(this_program()?);
    // A group of its own, so that a signal reaches the cells and whatever they start, and no one else.
    supervisor.process_group(0);
    let (name, folders) = workshop::library_path(&cells)?;
    supervisor.env(name, folders);
    // evcxr runs a first cell of its own, before anybody could hear what it shows.
    let quiet = spare.file(QUIET);
    std::fs::write(&quiet, "")?;
    let (mut context, outputs) = EvalContext::with_subprocess_command(supervisor)
        .context("the evaluation engine did not start")?;
    std::fs::remove_file(&quiet)?;
    let barrier = (helpers.publish)(outputs);
    context.set_error_format("{}")?;

    filling.finish()?;

    let mut state = context.state();
    // Everything is compiled already; a look at the network would only take time.
    state.set_offline_mode(true);
    // The file of versions holds those that the workshop was built with, and cargo must not look for
    // others; but whatever evcxr checks cuts the file down to what that check needed.
    let restore_versions = || std::fs::write(workshop::lock_file(&cells), &versions);
    let dependencies = workshop::cell_dependencies(&workshop, &library.features)?;
    for (name, specification) in &dependencies {
        restore_versions()?;
        state.add_dep(name, specification)?;
    }
    restore_versions()?;
    context.eval_with_state(PRELUDE, state).map_err(describe)?;
    let mut state = context.state();
    state.set_offline_mode(false);
    context.eval_with_state("", state).map_err(describe)?;
    let lines: String =
        dependencies.iter().map(|(name, what)| format!(":dep {name} = {what}\n")).collect();
    let lock = workshop::lock_file(&cells);
    let renewal = move |context: &mut CommandContext| {
        std::fs::write(&lock, &versions)?;
        let code = format!(":offline 1\n:efmt {{}}\n{lines}{PRELUDE}");
        context.execute(&code).map_err(describe)?;
        context.execute(":offline 0").map_err(describe)?;
        anyhow::Ok(())
    };
    let context = CommandContext::with_eval_context(context);
    let library = library.folder.clone();
    Ok(Started { context, barrier, cells, library, renewal: Box::new(renewal) })
}

/// The whole text of an error of `evcxr`.
fn describe(error: evcxr::Error) -> anyhow::Error {
    match error {
        evcxr::Error::CompilationErrors(errors) => {
            let text: Vec<String> = errors.iter().map(evcxr::CompilationError::rendered).collect();
            anyhow::anyhow!("the kernel's own first cell does not compile:\n{}", text.join("\n"))
        }
        other => other.into(),
    }
}
